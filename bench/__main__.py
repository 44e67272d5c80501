"""`python -m bench`: run the rows, write bench/results.json, docs/performance/*.svg and the tables for the docs."""

from __future__ import annotations

import argparse
import sys
import time

from bench import report
from bench.environments import ROOT, ready
from bench.judged import judge, medians
from bench.rows import ROWS, Row
from bench.session import Session

_QUICK_ROUNDS = 2


def main() -> int:
    """Run what the command line asks for; the exit code says nothing about the bars."""
    asked = _arguments()
    chosen = [row for row in ROWS if not asked.rows or row.name in asked.rows]
    for peer in dict.fromkeys(job.peer for row in chosen for job in row.jobs):
        ready(peer)
    results = report.Results.begin()
    with Session() as session:
        for row in chosen:
            begun = time.perf_counter()
            figures = session.run(row, rounds=_rounds(row, asked))
            verdicts = judge(row, figures)
            results.add(row, figures, verdicts)
            print(report.line(row, medians(figures), verdicts), flush=True)
            print(f"    {time.perf_counter() - begun:.1f} s", file=sys.stderr, flush=True)
    if asked.rows or asked.quick:
        print("Nothing was written: only a whole run is.", file=sys.stderr)
    else:
        written = ", ".join(str(path.relative_to(ROOT)) for path in results.write())
        print(f"{results.met} of {results.asked} bars are met. Written: {written}", file=sys.stderr)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    names = [row.name for row in ROWS]
    parser.add_argument("--rows", nargs="+", choices=names, metavar="ROW", help="of " + ", ".join(names))
    parser.add_argument("--quick", action="store_true", help=f"{_QUICK_ROUNDS} rounds only")
    return parser.parse_args()


def _rounds(row: Row, asked: argparse.Namespace) -> int:
    return min(_QUICK_ROUNDS, row.rounds) if asked.quick else row.rounds


if __name__ == "__main__":
    sys.exit(main())
