"""`python -m bench`: run the benchmark and write bench/results.json and the results in docs/performance.md."""

from __future__ import annotations

import argparse
import sys
import time

from bench import report
from bench.bar_verdicts import judge_row, medians
from bench.environments import ROOT, install
from bench.rows import ROWS
from bench.session import Session

_QUICK_ROUNDS = 2


def main() -> int:
    """Run the chosen rows. The exit code is 0 even if a bar is missed: a busy machine is not an error."""
    options = _parse_arguments()
    rows = [row for row in ROWS if not options.rows or row.name in options.rows]
    # Install all environments first, so that pip does not disturb a measurement.
    for peer in dict.fromkeys(job.peer for row in rows for job in row.jobs):
        install(peer)
    results = report.Results.begin()
    with Session() as session:
        for row in rows:
            start = time.perf_counter()
            rounds = min(_QUICK_ROUNDS, row.rounds) if options.quick else row.rounds
            figures = session.run(row, rounds=rounds)
            verdicts = judge_row(row, figures)
            results.add(row, figures, verdicts)
            print(report.progress(row, medians(figures), verdicts), flush=True)
            print(f"    {time.perf_counter() - start:.1f} s", file=sys.stderr, flush=True)
    if options.rows or options.quick:
        print("No file was written. Only a complete run writes files.", file=sys.stderr)
    else:
        written = ", ".join(str(path.relative_to(ROOT)) for path in results.write())
        print(f"{results.bars_met} of {results.bar_count} bars met. Written: {written}", file=sys.stderr)
    return 0


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    names = [row.name for row in ROWS]
    parser.add_argument("--rows", nargs="+", choices=names, metavar="ROW", help="run only these: " + ", ".join(names))
    parser.add_argument("--quick", action="store_true", help=f"run {_QUICK_ROUNDS} rounds of each row")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
