"""A page of documentation: its examples run on a simulator, and its links lead somewhere."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, NamedTuple

from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

from codex_backend_sdk.testing import Simulator

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import Any

    import pytest
    from sybil.example import Example

__all__ = ["Examples", "assert_links", "examples_of", "section"]


class Examples(NamedTuple):
    """The examples of a page, in order, what they have in common, and whom they talk to."""

    each: Sequence[Example]
    found: dict[str, Any]
    simulator: Simulator


@contextlib.contextmanager
def examples_of(page: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Examples]:
    """Read the examples; by the environment they find a simulator, and a login for it in `home`."""
    document = Sybil([PythonCodeBlockParser(), SkipParser()], path=str(page.parent)).parse(page)
    with Simulator() as simulator:
        simulator.write_codex_home(home)
        monkeypatch.delenv("CODEX_ACCESS_TOKEN", raising=False)
        for name, value in {**simulator.environment, "CODEX_HOME": str(home)}.items():
            monkeypatch.setenv(name, value)
        yield Examples(list(document.examples()), document.namespace, simulator)


def section(page: Path, title: str) -> str:
    """Return what stands under the title (`## …`), to the next one of its level."""
    _, _, rest = page.read_text(encoding="utf-8").partition(f"\n{title}\n")
    return rest.partition(f"\n{title.partition(' ')[0]} ")[0]


def assert_links(page: Path) -> None:
    """Each link that stays in the page names a title of it, each other one that is no URL a file."""
    text = page.read_text(encoding="utf-8")
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert {link[1:] for link in links if link.startswith("#")} <= anchors
    files = [link.partition("#")[0] for link in links if not link.startswith(("#", "http"))]
    assert files
    for file in files:
        assert (page.parent / file).exists(), file
