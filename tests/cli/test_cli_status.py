from __future__ import annotations

import json
import re
import traceback
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from codex_backend_sdk.cli import moments

if TYPE_CHECKING:
    from pathlib import Path

    from cli.runs import Run, StoreLogin

    from codex_backend_sdk.testing import Simulator


NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def test_status_says_who_is_signed_in_and_asks_nobody(
    run: Run, store_login: StoreLogin, sim: Simulator, home: Path
) -> None:
    document = store_login()
    ran = run("status")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("Signed in as user@example.com\n")
    shown = dict(re.findall(r"^  (\S+(?: in)?) +(.+)$", ran.out, re.MULTILINE))
    assert shown["plan"] == "pro"
    assert shown["account"] == sim.account.account_id
    assert shown["stored in"] == str(home / "auth.json")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC \(in 9 d 23 h\); renewed when it is needed", shown["expires"])
    assert not any(document["tokens"][name] in ran.out for name in ("access_token", "refresh_token"))
    assert sim.requests == []


def test_status_of_an_expired_login_that_can_be_renewed(run: Run, store_login: StoreLogin, sim: Simulator) -> None:
    store_login(sim.login_document(expires_in=-timedelta(hours=3, minutes=5)))
    ran = run("status")
    assert ran.code == 0
    assert re.search(r"\(3 h 5 min ago\); renewed when it is needed", ran.out)
    assert sim.requests == []


def test_status_of_an_expired_login_that_cannot_be_renewed(run: Run, store_login: StoreLogin, sim: Simulator) -> None:
    document = sim.login_document(expires_in=-timedelta(hours=3))
    del document["tokens"]["refresh_token"]
    store_login(document)
    ran = run("status")
    assert ran.code == 1
    assert "has expired and cannot be renewed. `codex-backend login`" in ran.out


def test_status_of_a_login_whose_expiry_cannot_be_read(run: Run, store_login: StoreLogin) -> None:
    store_login({"tokens": {"access_token": "opaque", "account_id": "acc-1"}})
    ran = run("status")
    assert ran.code == 0
    assert "unknown; cannot be renewed" in ran.out
    assert "opaque" not in ran.out


def test_status_of_a_token_in_the_environment(
    run: Run, store_login: StoreLogin, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = store_login()
    jwt, personal = document["tokens"]["access_token"], sim.personal_access_token()
    for token, asked in ((jwt, []), (personal, ["/api/accounts/v1/user-auth-credential/whoami"])):
        monkeypatch.setenv("CODEX_ACCESS_TOKEN", token)
        ran = run("status")
        assert (ran.code, ran.err) == (0, "")
        assert ran.out.startswith("Signed in as user@example.com\n")
        assert "stored in  the variable CODEX_ACCESS_TOKEN" in ran.out
        assert "cannot be renewed" in ran.out
        assert token not in ran.out
        assert [request.path for request in sim.requests] == asked


def test_status_of_a_token_that_is_refused_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for token, words in (("at-unknown", "does not accept it"), ("sk-mine", "API key of the OpenAI platform")):
        monkeypatch.setenv("CODEX_ACCESS_TOKEN", token)
        ran = run("status")
        assert (ran.code, ran.out) == (1, "")
        assert words in ran.err
        assert token not in ran.err
        assert ran.err.count("\n") == 1


def test_status_of_a_stored_personal_access_token(run: Run, store_login: StoreLogin, sim: Simulator) -> None:
    store_login({"OPENAI_API_KEY": None, "personal_access_token": sim.personal_access_token()})
    ran = run("status")
    assert (ran.code, ran.err) == (0, "")
    assert "Signed in as user@example.com" in ran.out
    assert "unknown; cannot be renewed" in ran.out


def test_status_of_nobody_says_what_to_do(run: Run, home: Path) -> None:
    ran = run("status")
    assert (ran.code, ran.err) == (1, "")
    assert ran.out == f"Not signed in\nThere is no login in {home / 'auth.json'}. `codex-backend login` makes one.\n"


def test_an_error_of_the_store_has_nothing_of_it(run: Run, store_login: StoreLogin, home: Path) -> None:
    store_login()
    text = (home / "auth.json").read_text()
    (home / "auth.json").write_text(text[:-20])
    with pytest.raises(RuntimeError, match="is not a usable auth") as caught:
        run("--debug", "status")
    error: BaseException | None = caught.value
    while error is not None:
        frames = traceback.TracebackException.from_exception(error, capture_locals=True).stack
        assert not [frame for frame in frames if frame.filename != __file__ and "eyJ" in str(frame.locals)]
        error = error.__cause__ or error.__context__


def test_status_of_another_kind_of_login(run: Run, store_login: StoreLogin) -> None:
    store_login({"OPENAI_API_KEY": "sk-secret"})
    ran = run("status")
    assert ran.code == 1
    assert "an OpenAI API key" in ran.out
    assert "sk-secret" not in ran.out


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"tokens": {"access_token": 7}})])
def test_status_of_a_damaged_login_is_one_line(run: Run, home: Path, text: str) -> None:
    home.mkdir()
    (home / "auth.json").write_text(text)
    ran = run("status")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"Error: {home / 'auth.json'} is not a usable auth.json")
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    ("away", "text"),
    [
        (timedelta(seconds=59), "now"),
        (-timedelta(seconds=59), "now"),
        (timedelta(seconds=60), "in 1 min"),
        (timedelta(minutes=59, seconds=59), "in 59 min"),
        (timedelta(hours=1), "in 1 h"),
        (timedelta(hours=3, minutes=12), "in 3 h 12 min"),
        (timedelta(days=1, minutes=30), "in 1 d"),
        (timedelta(days=9, hours=23, minutes=59), "in 9 d 23 h"),
        (-timedelta(days=2, hours=1), "2 d 1 h ago"),
    ],
)
def test_a_moment_is_told_from_now(away: timedelta, text: str) -> None:
    assert moments.from_now(NOW + away, now=NOW) == text


def test_a_span_shorter_than_a_minute() -> None:
    assert moments.format_duration(timedelta(seconds=59)) == "0 min"
