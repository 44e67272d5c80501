"""Read a documentation page, run each of its examples alone, and check its links.

Each Python block runs in a fresh namespace, without the other blocks, because readers copy one block into a file. It
finds a simulator through the environment. A block of pytest tests runs in its own pytest process. A block after the
line `<!-- not run -->` is skipped.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import openai
import pytest

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
    "run_tests",
    "simulator_in_environment",
]

ROOT = Path(__file__).parent.parent
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
    return pytest.mark.parametrize("block", list(blocks), ids=lambda block: f"{block.page.name}:{block.line}")


@contextlib.contextmanager
def simulator_in_environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """Start a simulator, write its login to `home`, and set the variables that `codex-backend simulate` prints."""
    with Simulator() as simulator:
        simulator.write_codex_home(home)
        monkeypatch.delenv("CODEX_ACCESS_TOKEN", raising=False)
        for name, value in {**simulator.environment, "CODEX_HOME": str(home)}.items():
            monkeypatch.setenv(name, value)
        yield simulator


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
