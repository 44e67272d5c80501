"""Test what a release publishes: the wheel, the sdist, and their metadata. `make release-check` also installs them."""

from __future__ import annotations

import importlib.util
import sys
import zipfile
from email import message_from_string
from pathlib import Path
from typing import Any

import pytest
from pages import ROOT

pytest.importorskip("build")
pytest.importorskip("twine")


def load(path: Path) -> Any:
    """Import a file that belongs to no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


check = load(ROOT / "scripts" / "release_check.py")
hook = load(ROOT / "hatch_build.py")

LOCAL: dict[str, str] = {}
ON_GITHUB = {"GITHUB_REPOSITORY": "owner/name", "GITHUB_REF_NAME": "v1.0.0"}
BLOB = "https://github.com/owner/name/blob/v1.0.0/"
RAW = "https://github.com/owner/name/raw/v1.0.0/"


@pytest.mark.timeout(300)
def test_distributions_can_be_released(tmp_path: Path) -> None:
    wheel, sdist = check.build(tmp_path / "dist")
    assert [*check.problems_of(wheel, sdist)] == []
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("tests/test_it.py", "")
        archive.writestr("codex_backend_sdk/notes.txt", "")
    assert [*check.wheel_problems(wheel)] == [
        "The wheel has codex_backend_sdk/notes.txt.",
        "The wheel has tests/test_it.py.",
    ]


@pytest.mark.parametrize(
    ("text", "local", "on_github"),
    [
        ("[a](docs/a.md#b)", "a", f"[a]({BLOB}docs/a.md#b)"),
        ("![a `b`](docs/a.svg)\n\ntext", "\ntext", f"![a `b`]({RAW}docs/a.svg)\n\ntext"),
        ("[two\nlines](a.md), [b](b.md)", "two\nlines, b", f"[two\nlines]({BLOB}a.md), [b]({BLOB}b.md)"),
        ("[a](https://example.com/a)", "[a](https://example.com/a)", "[a](https://example.com/a)"),
        ("[a](#heading)", "[a](#heading)", "[a](#heading)"),
    ],
)
def test_readme_links_work_on_pypi(text: str, local: str, on_github: str) -> None:
    assert hook.readme_for_pypi(text, LOCAL) == local
    assert hook.readme_for_pypi(text, ON_GITHUB) == on_github


def test_project_urls_name_the_repository_of_the_build() -> None:
    assert "Source" not in hook.project_urls(LOCAL)
    urls = hook.project_urls({**ON_GITHUB, "GITHUB_SERVER_URL": "https://git.example"})
    assert urls["Source"] == "https://git.example/owner/name"
    assert urls["Issues"] == "https://git.example/owner/name/issues"
    assert urls["Codex CLI"] == "https://github.com/openai/codex"


def test_metadata_problems_are_found() -> None:
    metadata = message_from_string("Summary: a\nKeywords: b\n\nSee [docs](docs/a.md) and [web](https://example.com).\n")
    problems = [*check.metadata_problems(metadata)]
    assert problems[0] == "The description has the relative link docs/a.md."
    assert [problem.split()[-1] for problem in problems[1:]] == [
        "License-Expression.",
        "Requires-Python.",
        "Project-URL.",
        "Classifier.",
    ]
