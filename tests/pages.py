"""Read a documentation page, run each of its examples alone, and check its links.

Each Python block runs as a file in a process of its own, because readers copy one block into a file. It finds a
simulator through the environment. A block of pytest tests runs in its own pytest process. A block after the line
`<!-- not run -->` is skipped, and so is one that imports a library that is not installed.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import importlib.util
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import openai
import pytest
from support.forked_programs import run_python_file

from codex_backend_sdk.testing import Simulator

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


__all__ = [
    "ROOT",
    "Block",
    "assert_links",
    "find_blocks",
    "parametrize_programs",
    "parametrize_pytest_files",
    "run_program",
    "run_script",
    "run_tests",
    "simulator_in_environment",
    "write_sample_files",
]

ROOT = Path(__file__).parent.parent
TIMEOUT_SECONDS = 120
_BLOCK = re.compile(
    r"^(?P<marker><!-- not run -->\n+)?```(?P<language>\w+)\n(?P<code>.+?)^```", re.MULTILINE | re.DOTALL
)


class Block(NamedTuple):
    """A fenced block of a page: its page, the line where its code begins, its language and its code."""

    page: Path
    line: int
    language: str
    code: str

    @property
    def is_pytest_file(self) -> bool:
        """True if the block defines tests."""
        return "def test_" in self.code


def find_blocks(page: Path, language: str = "python") -> list[Block]:
    """Return the blocks of the page in this language, except those after `<!-- not run -->`."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, text.count("\n", 0, match.start("code")) + 1, match["language"], match["code"])
        for match in _BLOCK.finditer(text)
        if match["language"] == language and not match["marker"]
    ]


def parametrize_programs(*pages: Path) -> pytest.MarkDecorator:
    """Parametrize a test with `block`: each Python block of the pages without tests."""
    return _parametrize(block for page in pages for block in find_blocks(page) if not block.is_pytest_file)


def parametrize_pytest_files(*pages: Path) -> pytest.MarkDecorator:
    """Parametrize a test with `block`: each Python block of the pages with pytest tests."""
    return _parametrize(block for page in pages for block in find_blocks(page) if block.is_pytest_file)


def _parametrize(blocks: Iterable[Block]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "block", list(blocks), ids=lambda block: f"{block.page.relative_to(ROOT).as_posix()}:{block.line}"
    )


@contextlib.contextmanager
def simulator_in_environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """Start a simulator, write its login to `home`, and set the variables that `codex-backend simulate` prints."""
    with Simulator() as simulator:
        simulator.write_codex_home(home)
        monkeypatch.delenv("CODEX_ACCESS_TOKEN", raising=False)
        for name, value in {**simulator.environment, "CODEX_HOME": str(home)}.items():
            monkeypatch.setenv(name, value)
        yield simulator


def write_sample_files(folder: Path) -> None:
    """Write the files that examples read."""
    (folder / "photo.png").write_bytes(
        base64.b64decode(
            "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
        )
    )


def run_script(block: Block, folder: Path, *, input: str = "") -> str:
    """Run the block as a file in its own process, in the folder, and return what it prints.

    Skips the test if a library that the block imports is not installed. Fails if the process fails or warns.
    """
    missing = [name for name in _imported_packages(block.code) if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    (folder / "example.py").write_text(block.code, encoding="utf-8")
    done = run_python_file(Path("example.py"), cwd=folder, env=dict(os.environ), input=input, timeout=TIMEOUT_SECONDS)
    assert done.returncode == 0, done.stderr
    for sign in ("Traceback", "Exception ignored", "Warning:"):
        assert sign not in done.stderr, done.stderr
    return done.stdout


def _imported_packages(code: str) -> set[str]:
    """Return the top-level packages that the program imports."""
    packages: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            packages |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            packages.add(node.module.partition(".")[0])
    return packages


def run_program(block: Block, *, close: bool = True) -> dict[str, Any]:
    """Run the block as a script and return its global variables. With `close`, close its sync clients afterwards."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    # The blank lines make tracebacks show the line of the page.
    code = compile("\n" * (block.line - 1) + block.code, str(block.page), "exec")
    try:
        exec(code, namespace)
    finally:
        for value in list(namespace.values()):
            if close and isinstance(value, openai.OpenAI):
                value.close()
    return namespace


def run_tests(block: Block, pytester: pytest.Pytester) -> None:
    """Run the block as a test file and assert that all of its tests pass."""
    pytester.makepyfile(test_pasted=block.code)
    result = pytester.runpytest_subprocess("-q", "-W", "error", "--strict-markers", "-p", "no:asyncio")
    result.assert_outcomes(passed=block.code.count("def test_"))


def assert_links(page: Path) -> None:
    """Assert that the file of each relative link exists and, with `#`, that it has this heading."""
    prose = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        if link.startswith(("https:", "http:")):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), f"{page}: {link}"
        if anchor:
            assert anchor in _anchors(target), f"{page}: {link}"


def _anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
