"""The examples of docs/authentication.md run, in order."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pages import assert_links, examples_of

from codex_backend_sdk.cli import main

if TYPE_CHECKING:
    import pytest

PAGE = Path(__file__).parent.parent / "docs" / "authentication.md"


def test_the_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    clients = []
    with examples_of(PAGE, tmp_path, monkeypatch) as (examples, found, simulator):
        monkeypatch.setenv("MY_OWN_VARIABLE", simulator.personal_access_token())
        for example in examples:
            example.evaluate()
            clients.append(found.get("client"))
    for client in clients:
        if client is not None:
            client.close()
    assert len(examples) >= 4
    assert f"user@example.com pro {tmp_path / 'auth.json'}" in capsys.readouterr().out
    assert not (tmp_path / "auth.json").exists(), "the last example signs out"


def test_every_message_and_option_that_is_named_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert main(["login", "--help"]) == 0
    login = capsys.readouterr().out
    assert main(["logout", "--help"]) == 0
    logout = capsys.readouterr().out
    for option, said in (("--device", login), ("--no-browser", login), ("--revoke", logout)):
        assert option in text
        assert option in said


def test_every_link_leads_somewhere() -> None:
    assert_links(PAGE)
