"""`python -m fuzz`: run the targets one after the other and print the number of inputs of each."""

from __future__ import annotations

import argparse
import importlib.util
import re
import secrets
import subprocess
import sys
import time

from .targets import TARGETS

_COUNTS = (re.compile(r"^stat::number_of_executed_units: *(\d+)", re.MULTILINE), re.compile(r"^(\d+)$", re.MULTILINE))


def main() -> int:
    """Run the chosen targets; return 1 when a property did not hold."""
    options = _arguments()
    print(f"seed {options.seed}, {options.engine}", flush=True)
    total, failed = 0, []
    for name in options.target or TARGETS:
        begun = time.monotonic()
        command = [sys.executable, "-m", "fuzz.loop", name, str(options.seconds), str(options.seed), options.engine]
        process = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        inputs = _inputs(process.stdout + "\n" + process.stderr)
        total += inputs
        took = time.monotonic() - begun
        print(
            f"{name:<18} {inputs:>12,} inputs  {took:6.1f} s  {'ok' if not process.returncode else 'FAILED'}",
            flush=True,
        )
        if process.returncode:
            failed.append(name)
            print(process.stderr[-4000:], file=sys.stderr, flush=True)
    print(f"{'total':<18} {total:>12,} inputs" + (f"; failed: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


def _inputs(output: str) -> int:
    return next((int(found[1]) for count in _COUNTS if (found := count.search(output))), 0)


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
