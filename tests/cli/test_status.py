"""Test `codex-backend status`."""

from __future__ import annotations

import json
import re
import traceback
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from codex_backend_sdk.testing import Simulator

if TYPE_CHECKING:
    from pathlib import Path

    from cli.command_runs import Run, StoreLogin


def test_status_shows_the_login_and_sends_no_request(
    run: Run, store_login: StoreLogin, sim: Simulator, home: Path
) -> None:
    document = store_login()
    result = run("status")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("Logged in as user@example.com\n")
    fields = dict(re.findall(r"^  (\S+(?: in)?) +(.+)$", result.out, re.MULTILINE))
    assert fields["plan"] == "pro"
    assert fields["account"] == sim.account.account_id
    assert fields["stored in"] == str(home / "auth.json")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC \(in 9 d 23 h\); refreshed automatically", fields["expires"])
    assert not any(document["tokens"][name] in result.out for name in ("access_token", "refresh_token"))
    assert sim.requests == []


def test_status_of_an_expired_renewable_login(run: Run, store_login: StoreLogin, sim: Simulator) -> None:
    store_login(sim.login_document(expires_in=-timedelta(hours=3, minutes=5)))
    result = run("status")
    assert result.code == 0
    assert "(3 h 5 min ago); refreshed automatically" in result.out
    assert sim.requests == []


def test_status_of_an_expired_login(run: Run, store_login: StoreLogin, sim: Simulator) -> None:
    document = sim.login_document(expires_in=-timedelta(hours=3))
    del document["tokens"]["refresh_token"]
    store_login(document)
    result = run("status")
    assert result.code == 3
    assert "has expired and cannot be refreshed. Run `codex-backend login`" in result.out


def test_status_of_a_token_without_readable_expiry(run: Run, store_login: StoreLogin) -> None:
    store_login({"tokens": {"access_token": "opaque", "account_id": "acc-1"}})
    result = run("status")
    assert result.code == 0
    assert "unknown; cannot be refreshed" in result.out
    assert "opaque" not in result.out


def test_status_of_a_token_in_the_environment(
    run: Run, store_login: StoreLogin, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = store_login()
    jwt, personal = document["tokens"]["access_token"], sim.personal_access_token()
    for token, paths in ((jwt, []), (personal, ["/api/accounts/v1/user-auth-credential/whoami"])):
        monkeypatch.setenv("CODEX_ACCESS_TOKEN", token)
        result = run("status")
        assert (result.code, result.err) == (0, "")
        assert result.out.startswith("Logged in as user@example.com\n")
        assert "stored in  the variable CODEX_ACCESS_TOKEN" in result.out
        assert "cannot be refreshed" in result.out
        assert token not in result.out
        assert [request.path for request in sim.requests] == paths


@pytest.mark.parametrize(("token", "code"), [("at-unknown", 3), ("sk-mine", 1)])
def test_status_of_a_rejected_token_is_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, token: str, code: int
) -> None:
    monkeypatch.setenv("CODEX_ACCESS_TOKEN", token)
    result = run("status")
    assert (result.code, result.out) == (code, "")
    assert re.fullmatch(r"Error: .*CODEX_ACCESS_TOKEN.*\n", result.err)
    assert token not in result.err


def test_status_of_a_stored_personal_access_token(run: Run, store_login: StoreLogin, sim: Simulator) -> None:
    store_login({"OPENAI_API_KEY": None, "personal_access_token": sim.personal_access_token()})
    result = run("status")
    assert (result.code, result.err) == (0, "")
    assert "Logged in as user@example.com" in result.out
    assert "unknown; cannot be refreshed" in result.out


def test_status_without_a_login_names_the_command(run: Run, home: Path) -> None:
    result = run("status")
    assert (result.code, result.err) == (3, "")
    text = f"Not logged in\nThere is no login in {home / 'auth.json'}. Run `codex-backend login` to log in.\n"
    assert result.out == text


def test_status_of_an_api_key_hides_it(run: Run, store_login: StoreLogin) -> None:
    store_login({"OPENAI_API_KEY": "sk-secret"})
    result = run("status")
    assert result.code == 3
    assert "an OpenAI API key, not a ChatGPT login." in result.out
    assert "sk-secret" not in result.out


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"tokens": {"access_token": 7}})])
def test_status_of_a_damaged_store_is_one_line(run: Run, home: Path, text: str) -> None:
    home.mkdir()
    (home / "auth.json").write_text(text)
    result = run("status")
    assert (result.code, result.out) == (1, "")
    assert re.fullmatch(rf"Error: .*{re.escape(str(home / 'auth.json'))}.*\n", result.err)


def test_store_error_holds_no_token_in_its_frames(run: Run, store_login: StoreLogin, home: Path) -> None:
    store_login()
    text = (home / "auth.json").read_text()
    (home / "auth.json").write_text(text[:-20])
    with pytest.raises(RuntimeError, match="auth") as caught:
        run("--debug", "status")
    error: BaseException | None = caught.value
    while error is not None:
        frames = traceback.TracebackException.from_exception(error, capture_locals=True).stack
        assert not [frame for frame in frames if frame.filename != __file__ and "eyJ" in str(frame.locals)]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def test_status_json_is_the_login(run: Run, store_login: StoreLogin, sim: Simulator, home: Path) -> None:
    document = store_login()
    result = run("status", "--json")
    data = json.loads(result.out)
    assert (result.code, result.err) == (0, "")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", data.pop("expires_at"))
    assert data == {
        "is_logged_in": True,
        "email": "user@example.com",
        "plan": "pro",
        "account_id": sim.account.account_id,
        "is_refreshable": True,
        "stored_in": str(home / "auth.json"),
    }
    assert not any(document["tokens"][name] in result.out for name in ("access_token", "refresh_token"))


@pytest.mark.parametrize("document", [None, {"OPENAI_API_KEY": "sk-secret"}])
def test_status_json_without_a_login_is_one_object(run: Run, store_login: StoreLogin, document: dict[str, str]) -> None:
    if document is not None:
        store_login(document)
    result = run("status", "--json")
    data = json.loads(result.out)
    assert result.code == 3
    assert (data["is_logged_in"], data["email"], data["expires_at"]) == (False, None, None)
    assert data["error"]["exit_code"] == 3
    assert "codex-backend login" in data["error"]["message"]
    assert "sk-secret" not in result.out + result.err
