"""`python -m fuzz`: run the targets one after the other and say how many inputs each had."""

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
    """Run what the command line asks for; 1 when a property did not hold."""
    asked = _arguments()
    print(f"seed {asked.seed}, {asked.engine}", flush=True)
    total, broken = 0, []
    for name in asked.target or TARGETS:
        begun = time.monotonic()
        command = [sys.executable, "-m", "fuzz.loop", name, str(asked.seconds), str(asked.seed), asked.engine]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        inputs = _inputs(done.stdout + "\n" + done.stderr)
        total += inputs
        took = time.monotonic() - begun
        print(
            f"{name:<18} {inputs:>12,} inputs  {took:6.1f} s  {'ok' if not done.returncode else 'BROKEN'}", flush=True
        )
        if done.returncode:
            broken.append(name)
            print(done.stderr[-4000:], file=sys.stderr, flush=True)
    print(f"{'in all':<18} {total:>12,} inputs" + (f"; broken: {', '.join(broken)}" if broken else ""))
    return 1 if broken else 0


def _inputs(output: str) -> int:
    return next((int(found[1]) for count in _COUNTS if (found := count.search(output))), 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=10, help="for each target (default: 10)")
    parser.add_argument("--target", nargs="+", choices=TARGETS, metavar="TARGET", help="of " + ", ".join(TARGETS))
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**31), help="the same inputs as another time")
    engine = "atheris" if importlib.util.find_spec("atheris") else "loop"
    parser.add_argument("--engine", choices=("atheris", "loop"), default=engine, help=f"here: {engine}")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
