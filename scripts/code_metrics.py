"""Measure the size and shape of the package's source, and how many files a call passes through.

    python scripts/code_metrics.py [ROOT]

ROOT is a checkout (default: this one). The script counts files, lines, the length of files and functions, comments,
modules of the same name, and repeated blocks. Then it traces three calls with `sys.setprofile`: a first
`responses.create(input="hi")`, a streamed one, and one with an expired login. The traced calls need the `testing` extra
and send requests only to a simulator on this machine.
"""

from __future__ import annotations

import ast
import io
import json
import subprocess
import sys
import tokenize
from collections import Counter, defaultdict
from pathlib import Path
from statistics import median, quantiles
from typing import Any

BLOCK_LINES = 6

TRACE = """
import json, sys, threading
from datetime import timedelta
from codex_backend_sdk import OpenAI
from codex_backend_sdk.auth import Credentials, MemoryStore
from codex_backend_sdk.testing import Simulator

entered = set()

def profile(frame, event, argument):
    path = frame.f_code.co_filename
    if event == "call" and "/codex_backend_sdk/" in path and "/testing/" not in path:
        if frame.f_code.co_name != "<module>":  # imports are not part of the call
            entered.add((path.rpartition("/codex_backend_sdk/")[2], frame.f_code.co_qualname))

def traced(call):
    entered.clear()
    threading.setprofile(profile); sys.setprofile(profile)
    try:
        call()
    finally:
        sys.setprofile(None); threading.setprofile(None)
    return {"files": len({file for file, _ in entered}), "functions": len(entered)}

with Simulator() as sim:
    def client(**login):
        store = MemoryStore(sim.login_document(**login))
        return OpenAI(base_url=sim.base_url, issuer=sim.issuer, credentials=Credentials(store, issuer=sim.issuer))
    first, streamed, expired = client(), client(), client(expires_in=timedelta(hours=-1))
    print(json.dumps({
        "create": traced(lambda: first.responses.create(input="hi")),
        "stream": traced(lambda: list(streamed.responses.create(input="hi", stream=True))),
        "expired login": traced(lambda: expired.responses.create(input="hi")),
    }))
"""


def main(arguments: list[str]) -> int:
    """Print the figures of a checkout."""
    root = Path(arguments[0] if arguments else Path(__file__).parent.parent).resolve()
    source = root / "src" / "codex_backend_sdk"
    files = {path: path.read_text(encoding="utf-8") for path in sorted(source.rglob("*.py"))}
    figures: dict[str, Any] = {
        "files": len(files),
        "lines": sum(text.count("\n") for text in files.values()),
        "file length (median, p95)": spread([text.count("\n") for text in files.values()]),
        "function length (median, p95)": spread([length for text in files.values() for length in functions(text)]),
        "comment lines / code lines": round(comment_ratio(files.values()), 3),
        "module names used twice": shared_names(source, files),
        f"repeated blocks of {BLOCK_LINES} lines and more": repeated_blocks(files),
    }
    traced = subprocess.run(
        [sys.executable, "-c", TRACE],
        env={"PYTHONPATH": str(root / "src"), "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    for call, counts in json.loads(traced.stdout).items():
        figures[f"{call}: files, functions"] = (counts["files"], counts["functions"])
    for name, value in figures.items():
        print(f"{name:<45} {value}")
    return 0


def spread(lengths: list[int]) -> tuple[int, int]:
    """Return the median and the 95th percentile."""
    return int(median(lengths)), int(quantiles(lengths, n=20)[-1])


def functions(text: str) -> list[int]:
    """Return the number of lines of each function body, without its docstring."""
    lengths = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            lengths.append((node.end_lineno or 0) - body[0].lineno + 1 if body else 0)
    return lengths


def comment_ratio(texts: Any) -> float:
    """Return the number of lines with a comment per line of code; docstrings count as neither."""
    comments = code = 0
    for text in texts:
        docstrings = {
            line
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
            for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
        }
        code_rows, comment_rows = set(), set()
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                comment_rows.add(token.start[0])
            elif token.type not in (
                tokenize.NL,
                tokenize.NEWLINE,
                tokenize.INDENT,
                tokenize.DEDENT,
                tokenize.ENDMARKER,
            ):
                code_rows.update(range(token.start[0], token.end[0] + 1))
        comments += len(comment_rows)
        code += len(code_rows - docstrings)
    return comments / code


def shared_names(source: Path, files: Any) -> list[str]:
    """Return the module names that exist in more than one folder."""
    counts = Counter(path.stem for path in files if path.stem != "__init__")
    return sorted(name for name, count in counts.items() if count > 1)


def repeated_blocks(files: dict[Path, str]) -> int:
    """Count the sequences of code lines, without imports, that occur more than once."""
    places: defaultdict[tuple[str, ...], list[tuple[Path, int]]] = defaultdict(list)
    for path, text in files.items():
        lines = [line.strip() for line in text.splitlines()]
        lines = [line for line in lines if line and not line.startswith(("#", "import ", "from ")) and len(line) > 3]
        for start in range(len(lines) - BLOCK_LINES + 1):
            places[tuple(lines[start : start + BLOCK_LINES])].append((path, start))
    # Overlapping windows belong to one block, so only windows whose predecessor is not repeated are counted.
    repeated = {place for places_of_block in places.values() if len(places_of_block) > 1 for place in places_of_block}
    return sum((path, start - 1) not in repeated for path, start in repeated)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
