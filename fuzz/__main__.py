"""Run the fuzz targets in sequence with `python -m fuzz`, and print the number of inputs of each target."""

from __future__ import annotations

import argparse
import importlib.util
import re
import secrets
import subprocess
import sys
import time

from .targets import TARGETS

# The number of inputs in the output of atheris and of `fuzz.loop`.
_COUNT_PATTERNS = (
    re.compile(r"^stat::number_of_executed_units: *(\d+)", re.MULTILINE),
    re.compile(r"^(\d+)$", re.MULTILINE),
)


def main() -> int:
    """Run the selected targets. Return 1 if a property did not hold."""
    options = _arguments()
    print(f"seed {options.seed}, {options.engine}", flush=True)
    total, failed = 0, []
    for name in options.target or TARGETS:
        started_at = time.monotonic()
        command = [sys.executable, "-m", "fuzz.loop", name, str(options.seconds), str(options.seed), options.engine]
        process = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        input_count = _input_count(process.stdout + "\n" + process.stderr)
        total += input_count
        seconds = time.monotonic() - started_at
        print(
            f"{name:<18} {input_count:>12,} inputs  {seconds:6.1f} s  {'ok' if not process.returncode else 'FAILED'}",
            flush=True,
        )
        if process.returncode:
            failed.append(name)
            print(process.stderr[-4000:], file=sys.stderr, flush=True)
    print(f"{'total':<18} {total:>12,} inputs" + (f"; failed: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


def _input_count(output: str) -> int:
    return next((int(match[1]) for pattern in _COUNT_PATTERNS if (match := pattern.search(output))), 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=10, help="for each target (default: 10)")
    parser.add_argument("--target", nargs="+", choices=TARGETS, metavar="TARGET", help="one of " + ", ".join(TARGETS))
    parser.add_argument(
        "--seed", type=int, default=secrets.randbelow(2**31), help="repeats the inputs of a run with this seed"
    )
    engine = "atheris" if importlib.util.find_spec("atheris") else "loop"
    parser.add_argument("--engine", choices=("atheris", "loop"), default=engine, help=f"default: {engine}")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
