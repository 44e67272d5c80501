"""Answer each line of a file, and continue after an interruption: `questions.txt` -> `answers.jsonl`.

python examples/batch.py questions.txt answers.jsonl
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

from openai import OpenAIError

from codex_backend_sdk import OpenAI

questions, answers = Path(sys.argv[1]), Path(sys.argv[2])
answered = {json.loads(line)["question"] for line in answers.open()} if answers.exists() else set()
pending = [line for line in questions.read_text().splitlines() if line and line not in answered]
# Wait for the reset of the 5-hour limit, once for all threads.
client = OpenAI(max_retries=4, wait_for_limit=timedelta(hours=5)).authenticate()


def answer(question: str) -> dict[str, str]:
    try:
        return {"question": question, "answer": client.responses.create(input=question).output_text}
    except OpenAIError as error:
        return {"question": question, "error": str(error)}


with ThreadPoolExecutor(8) as threads, answers.open("a") as output:
    for row in threads.map(answer, pending):
        if "error" in row:
            print(row["question"], "->", row["error"], file=sys.stderr)  # a later run asks again
        else:
            print(json.dumps(row), file=output, flush=True)
print(f"{len(pending)} new questions, {len(answered)} answered before.")
