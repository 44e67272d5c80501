"""The examples of docs/authentication.md run, in order."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

from codex_backend_sdk.cli import main
from codex_backend_sdk.testing import Simulator

if TYPE_CHECKING:
    import pytest

PAGE = Path(__file__).parent.parent / "docs" / "authentication.md"


def test_the_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    document = Sybil([PythonCodeBlockParser(), SkipParser()], path=str(PAGE.parent)).parse(PAGE)
    clients = []
    with Simulator() as simulator:
        simulator.write_codex_home(tmp_path)
        environment = {**simulator.environment, "CODEX_HOME": str(tmp_path)}
        environment["MY_OWN_VARIABLE"] = simulator.personal_access_token()
        monkeypatch.delenv("CODEX_ACCESS_TOKEN", raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        ran = 0
        for example in document.examples():
            example.evaluate()
            ran += 1
            clients.append(document.namespace.get("client"))
    for client in clients:
        if client is not None:
            client.close()
    assert ran >= 4
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
    text = PAGE.read_text(encoding="utf-8")
    titles = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    anchors = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
    links = set(re.findall(r"\]\(#([^)]+)\)", text))
    assert links
    assert links <= anchors
    for file in re.findall(r"\]\((?!#|http)([^)#]+)", text):
        assert (PAGE.parent / file).is_file()
