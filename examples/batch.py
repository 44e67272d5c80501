"""Answer each line of a file, and continue after an interruption: `questions.txt` -> `answers.jsonl`.

python examples/batch.py questions.txt answers.jsonl
"""

import sys
from datetime import timedelta
from pathlib import Path

from codex_backend_sdk import OpenAI
from codex_backend_sdk.batch import BatchProgress


def show(progress: BatchProgress) -> None:
    print(f"\r{progress.completed + progress.failed} of {progress.total}", end="", file=sys.stderr)


if len(sys.argv) != 3:
    sys.exit(__doc__)
questions, answers = Path(sys.argv[1]), Path(sys.argv[2])
with OpenAI() as client:
    batch = client.codex.batch(
        (line for line in questions.read_text().splitlines() if line.strip()),
        journal=f"{answers}.journal",
        instructions="Answer in one sentence.",
        wait_for_limit=True,
        max_wait=timedelta(hours=5),
        retry_failed=True,
        on_progress=show,
    )
    progress = batch.write(answers)
print(f"\n{progress.completed} complete, {progress.failed} failed, {progress.from_journal} answered before.")
