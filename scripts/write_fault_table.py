"""Write the table of faults into docs/testing.md. Run the script after a change of the simulator's fault catalog."""

from __future__ import annotations

from pathlib import Path

from codex_backend_sdk.testing.faults.fault_catalog import FAULTS

PAGE = Path(__file__).parent.parent / "docs" / "testing.md"
HEADER = "| fault | effect |\n|---|---|\n"


def main() -> None:
    """Replace the table, which ends the page."""
    before = PAGE.read_text(encoding="utf-8").partition(HEADER)[0]
    rows = "".join(f"| `{fault.syntax}` | {fault.description} |\n" for fault in FAULTS.values())
    PAGE.write_text(before + HEADER + rows, encoding="utf-8")


if __name__ == "__main__":
    main()
