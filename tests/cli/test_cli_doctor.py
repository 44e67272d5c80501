"""`codex-backend doctor`: each thing that can be wrong is told with what to do, and takes nothing from the rest."""

from __future__ import annotations

import json
import os
import re
import socket
import sys
import threading
import time
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from codex_backend_sdk import Routing
from codex_backend_sdk.cli.doctor.registry import CHECKS
from codex_backend_sdk.testing import ModelCatalog, SimulatedAccount, Simulator
from codex_backend_sdk.testing.backend.simulated_limits import SimulatedLimits, SimulatedWindow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.runs import Ran, Run, Spawn, StoreLogin

posix_only = pytest.mark.skipif(os.name != "posix", reason="modes and locks of files are POSIX's here")


def line(ran: Ran, name: str) -> str:
    """Return what is told of one check, on one line."""
    found = re.search(rf"^(. {name:<15}.*(?:\n. {{16}}.*)*)", ran.out, re.MULTILINE)
    assert found, ran.out
    return " ".join(found[1].split())


def sign(ran: Ran, name: str) -> str:
    return line(ran, name)[0]


@pytest.fixture
def lone(run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command where nothing but the simulator's address is special."""
    monkeypatch.setenv("BROWSER", "w3m")
    return run


def test_all_is_well_but_for_the_other_servers(lone: Run, store_login: StoreLogin, sim: Simulator, home: Path) -> None:
    document = store_login()
    (home / "auth.json").chmod(0o600)
    before = (home / "auth.json").read_bytes()
    ran = lone("doctor")
    assert (ran.code, ran.err) == (0, "")
    for name in CHECKS.keys() - {"Variables", "Callback ports"}:
        assert sign(ran, name) == "✓", line(ran, name)
    assert "user@example.com, plan pro; good until" in line(ran, "Login")
    assert "by you alone" in line(ran, "Store")
    assert f"{sim.base_url}/responses" in ran.out
    assert ran.out.endswith("\n2 warnings.\n")
    assert not any(document["tokens"][name] in ran.out for name in ("access_token", "refresh_token", "id_token"))
    assert "/backend-api/codex/responses" not in [request.path for request in sim.requests]
    assert "/oauth/token" not in [request.path for request in sim.requests]
    assert (home / "auth.json").read_bytes() == before
    assert [path.name for path in home.iterdir()] == ["auth.json"]


def test_it_is_told_for_programs_too(lone: Run, store_login: StoreLogin) -> None:
    store_login()
    ran = lone("doctor", "--json")
    found = json.loads(ran.out)
    assert (ran.code, ran.err) == (0, "")
    assert found["is_well"] is True
    assert found["checks"][0]["check"] == "Versions"
    assert {row["check"] for row in found["checks"]} == CHECKS.keys() | {"Call"}
    assert found["checks"][0].keys() == {"check", "level", "what", "remedy"}
    assert found["call"]["model"] == "gpt-6.1-sol"
    assert "body" not in found["call"]["prepared_request"]


def test_nobody_is_signed_in(lone: Run, home: Path) -> None:
    ran = lone("doctor")
    assert ran.code == 1
    assert line(ran, "Login").startswith("✗ Login Nobody is signed in")
    assert "codex-backend login --device" in line(ran, "Login")
    assert "is not there yet, and can be made" in line(ran, "Store")
    assert "Not asked: nobody is signed in." in line(ran, "Models")
    assert not home.exists()
    assert "1 broken, 2 warnings." in ran.out


def test_a_damaged_login(lone: Run, home: Path) -> None:
    home.mkdir()
    (home / "auth.json").write_text('{"tokens": {"access_token": "hush hush"}}')
    ran = lone("doctor")
    assert ran.code == 1
    assert line(ran, "Store").startswith(f"✗ Store {home / 'auth.json'} is not a usable auth.json")
    assert sign(ran, "Login") == "·"
    assert "Not asked: there is no login" in line(ran, "Models")
    assert sign(ran, "Backend") == "✓"
    assert "hush" not in ran.out


def test_another_kind_of_login(lone: Run, store_login: StoreLogin) -> None:
    store_login({"OPENAI_API_KEY": "sk-hush"})
    ran = lone("doctor")
    assert "holds an OpenAI API key, no ChatGPT login" in line(ran, "Login")
    assert "sk-hush" not in ran.out


def test_an_expired_login_that_is_renewed_when_it_is_needed(lone: Run, store_login: StoreLogin, sim: Simulator) -> None:
    store_login(sim.login_document(expires_in=-timedelta(hours=3, minutes=1)))
    ran = lone("doctor")
    assert ran.code == 0
    assert "(3 h 1 min ago); renewed when it is needed" in line(ran, "Login")
    assert "The next call renews the login" in line(ran, "Models")
    assert "/oauth/token" not in [request.path for request in sim.requests]


def test_a_login_that_cannot_be_renewed(lone: Run, store_login: StoreLogin, sim: Simulator) -> None:
    document = sim.login_document(expires_in=timedelta(hours=3))
    del document["tokens"]["refresh_token"], document["tokens"]["account_id"], document["tokens"]["id_token"]
    claims = document["tokens"]["access_token"]
    store_login(document)
    ran = lone("doctor")
    assert ran.code == 0
    assert "The login ends soon, and cannot be renewed." in ran.out
    assert claims not in ran.out
    document = sim.login_document(expires_in=-timedelta(hours=3))
    del document["tokens"]["refresh_token"]
    store_login(document)
    ran = lone("doctor")
    assert ran.code == 1
    assert "has expired, and cannot be renewed" in line(ran, "Login")


def test_a_login_without_an_account(lone: Run, store_login: StoreLogin) -> None:
    store_login({"tokens": {"access_token": "opaque"}})
    ran = lone("doctor")
    assert "names no account" in ran.out
    assert "plan unknown; cannot be renewed" in line(ran, "Login")
    assert "opaque" not in ran.out


def test_a_token_in_the_environment(
    lone: Run, store_login: StoreLogin, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODEX_ACCESS_TOKEN", sim.personal_access_token())
    ran = lone("doctor")
    assert ran.code == 0
    assert "its token is the login" in ran.out
    assert "the variable CODEX_ACCESS_TOKEN" in line(ran, "Login")
    assert sign(ran, "Models") == "✓"
    assert len([request for request in sim.requests if request.path.endswith("/whoami")]) == 1
    store_login()
    assert "is used instead of the stored login" in lone("doctor").out
    monkeypatch.setenv("CODEX_ACCESS_TOKEN", "at-hush")
    ran = lone("doctor")
    assert ran.code == 1
    assert "does not accept it" in line(ran, "Login")
    assert "at-hush" not in ran.out


def test_a_stored_personal_access_token(lone: Run, store_login: StoreLogin, sim: Simulator) -> None:
    store_login({"OPENAI_API_KEY": None, "personal_access_token": sim.personal_access_token()})
    ran = lone("doctor")
    assert (ran.code, sign(ran, "Models")) == (0, "✓")


@posix_only
def test_a_login_that_others_may_read(lone: Run, store_login: StoreLogin, home: Path) -> None:
    store_login()
    (home / "auth.json").chmod(0o644)
    assert f"(mode 0644). → `chmod 600 {home / 'auth.json'}`" in line(lone("doctor"), "Store")


@posix_only
def test_a_lock_that_somebody_holds(lone: Run, store_login: StoreLogin, home: Path) -> None:
    import fcntl

    store_login()
    with (home / "auth.json.lock").open("w") as lock:
        assert "holds" not in lone("doctor").out
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "auth.json.lock just now" in line(lone("doctor"), "Store")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is closed to root")
def test_a_folder_that_cannot_be_written(lone: Run, store_login: StoreLogin, home: Path) -> None:
    store_login()
    home.chmod(0o500)
    try:
        assert "cannot be written" in line(lone("doctor"), "Store")
    finally:
        home.chmod(0o700)


def test_another_store(lone: Run, home: Path) -> None:
    home.mkdir()
    (home / "config.toml").write_text('cli_auth_credentials_store = "ephemeral"')
    assert "memory can be read; nothing is stored yet." in line(lone("doctor"), "Store")


@pytest.fixture
def dead_port() -> Iterator[int]:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # it does not listen
        yield bound.getsockname()[1]


def test_servers_that_are_not_there(
    lone: Run, store_login: StoreLogin, monkeypatch: pytest.MonkeyPatch, dead_port: int
) -> None:
    store_login()
    monkeypatch.setenv("CODEX_BASE_URL", f"http://127.0.0.1:{dead_port}/backend-api/codex")
    monkeypatch.delenv("CODEX_ISSUER_URL")
    monkeypatch.setenv("CODEX_ISSUER_URL", f"http://127.0.0.1:{dead_port}")
    ran = lone("doctor")
    assert ran.code == 1
    for name in ("Backend", "Sign-in server"):
        assert "does not answer" in line(ran, name)
        assert "Nothing listens there" in line(ran, name)
    assert "HTTPS_PROXY" not in ran.out
    assert [sign(ran, name) for name in ("Clock", "Models", "Limits")] == ["·", "·", "·"]
    assert sign(ran, "Login") == "✓"
    assert sign(ran, "Call") == "✓"


@contextmanager
def server(answer: bytes | None) -> Iterator[str]:
    """A server that gives everybody the same answer, or none at all."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        held = []

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                held.append(connection)
                if answer is not None:
                    connection.recv(65536)
                    connection.sendall(answer)
                    connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
        for connection in held:
            connection.close()
    thread.join(5)


def point_at(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("CODEX_BASE_URL", f"{url}/backend-api/codex")
    monkeypatch.setenv("CODEX_ISSUER_URL", url)


def test_a_network_that_hangs_is_given_up(lone: Run, store_login: StoreLogin, monkeypatch: pytest.MonkeyPatch) -> None:
    store_login()
    with server(None) as url:
        point_at(monkeypatch, url)
        began = time.monotonic()
        ran = lone("doctor", "--timeout", "2")
        assert time.monotonic() - began < 20
    assert ran.code == 1
    assert sign(ran, "Backend") == "✗"
    assert sign(ran, "Login") == "✓"


@pytest.mark.parametrize(
    ("date", "sign_", "words"),
    [
        ("Sat, 01 Jan 2000 00:00:00 GMT", "✗", "fast. Logins and certificates seem to have ended"),
        ("Thu, 01 Jan 2099 00:00:00 GMT", "✗", "slow. Logins and certificates seem not to be valid yet"),
        ("yesterday", "·", "does not say what time it is"),
    ],
)
def test_a_wrong_clock(lone: Run, monkeypatch: pytest.MonkeyPatch, date: str, sign_: str, words: str) -> None:
    with server(f"HTTP/1.1 401 No\r\nDate: {date}\r\nContent-Length: 0\r\n\r\n".encode()) as url:
        point_at(monkeypatch, url)
        ran = lone("doctor")
    assert sign(ran, "Clock") == sign_
    assert words in line(ran, "Clock")
    assert sign(ran, "Backend") == "✓"


def test_a_proxy_is_named_without_its_password(
    lone: Run, store_login: StoreLogin, monkeypatch: pytest.MonkeyPatch, dead_port: int
) -> None:
    store_login()
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:hush@127.0.0.1:{dead_port}")
    monkeypatch.setenv("CODEX_BASE_URL", "https://backend.example/backend-api/codex")
    monkeypatch.setenv("CODEX_ISSUER_URL", "https://issuer.example")
    ran = lone("doctor")
    assert ran.code == 1
    assert f"backend.example is reached through the proxy http://…@127.0.0.1:{dead_port}." in line(ran, "Proxy")
    assert "look at HTTPS_PROXY" in line(ran, "Backend")
    assert "hush" not in ran.out + ran.err


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("CODEX_CA_CERTIFICATE", "/nowhere/ca.pem", "CODEX_CA_CERTIFICATE names no readable PEM file: /nowhere/ca.pem"),
        ("HTTPS_PROXY", "ftp://me:hush@proxy.example", "HTTPS_PROXY names no proxy that can be used"),
    ],
)
def test_settings_of_the_network_that_cannot_be_used(
    lone: Run, store_login: StoreLogin, monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    store_login()
    monkeypatch.setenv(name, value)
    ran = lone("doctor")
    assert ran.code == 1
    assert words in line(ran, "Certificates")
    assert ran.out.count("✗") == 1
    assert "Not explained" in line(ran, "Call")
    assert "hush" not in ran.out


def test_settings_that_are_fine_and_settings_of_others(
    lone: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/somewhere")
    assert "REQUESTS_CA_BUNDLE is set and not used." in line(lone("doctor"), "Certificates")
    monkeypatch.setenv("CODEX_CA_CERTIFICATE", str(authority(tmp_path)))
    ran = lone("doctor")
    assert "ca.pem can be used." in line(ran, "Certificates")
    assert "REQUESTS_CA_BUNDLE" not in ran.out


def authority(folder: Path) -> Path:
    trustme = pytest.importorskip("trustme")
    file = folder / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(file))
    return file


def test_variables_that_look_as_if_they_did_something(lone: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-hush")
    ran = lone("doctor")
    assert "OPENAI_API_KEY is set and not used" in line(ran, "Variables")
    assert "sk-hush" not in ran.out


def test_an_address_that_is_no_place_for_a_token(lone: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEX_BASE_URL", "http://me:hush@example.com/codex")
    ran = lone("doctor")
    assert ran.code == 1
    assert "CODEX_BASE_URL must be an https URL" in line(ran, "Backend")
    assert "http://…@example.com/codex" in line(ran, "Variables")
    assert "Not explained" in line(ran, "Call")
    assert "hush" not in ran.out


FAULTS = [
    ("cloudflare:challenge@models", "Models", "✗", "Cloudflare"),
    ("unauthorized@models", "Models", "!", "refuses the login (401)"),
    ("unauthorized@usage", "Limits", "!", "A call renews it once."),
    ("status:500@models", "Backend", "!", "answers with status 500"),
    ("html@usage", "Limits", "!", "an HTML page"),
    ("reset@usage", "Limits", "·", "Not answered"),
]


@pytest.mark.parametrize(("fault", "name", "sign_", "words"), FAULTS)
def test_a_backend_that_fails(
    lone: Run, store_login: StoreLogin, sim: Simulator, fault: str, name: str, sign_: str, words: str
) -> None:
    store_login()
    sim.fail(fault, times=None)
    ran = lone("doctor")
    assert sign(ran, name) == sign_, line(ran, name)
    assert words.lower() in line(ran, name).lower()
    assert "/oauth/token" not in [request.path for request in sim.requests]


def test_a_login_that_is_refused_and_cannot_be_renewed(lone: Run, store_login: StoreLogin, sim: Simulator) -> None:
    document = sim.login_document()
    del document["tokens"]["refresh_token"]
    store_login(document)
    sim.fail("unauthorized@models", times=None)
    ran = lone("doctor")
    assert (ran.code, sign(ran, "Models")) == (1, "✗")


def test_a_plan_that_is_used_up_and_an_account_without_the_default_model(
    lone: Run, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    limits = SimulatedLimits(primary=SimulatedWindow(100, minutes=300))
    with Simulator(model_catalog=ModelCatalog.of("gpt-a", "gpt-b"), limits=limits) as other:
        other.write_codex_home(home)
        for name, value in other.environment.items():
            monkeypatch.setenv(name, value)
        ran = lone("doctor")
    assert "! Limits" in ran.out
    assert "5 h 100 % used" in line(ran, "Limits")
    assert "the default, `gpt-6.1-sol`, is not one of them." in line(ran, "Models")
    assert "Name one with `model=`: gpt-a, gpt-b." in line(ran, "Models")


@pytest.fixture
def workspace(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """A backend for a plan that may have a routing of its own."""
    with Simulator(account=SimulatedAccount(plan="enterprise")) as simulator:
        simulator.write_codex_home(home)
        for name, value in simulator.environment.items():
            monkeypatch.setenv(name, value)
        yield simulator


def test_a_workspace_with_a_backend_of_its_own(lone: Run, workspace: Simulator) -> None:
    assert "go to the backend above." in line(lone("doctor"), "Routing")
    with Simulator(accepts_logins_of=workspace) as own:
        workspace.routing = Routing(origin=own.url, override="us")
        ran = lone("doctor")
    assert f"go to {own.url}, with the word `us`." in line(ran, "Routing")
    assert f"POST {own.base_url}/responses" in ran.out
    assert "x-openai-account-routing-override: us" in ran.out
    assert not any(request.path.endswith("/responses") for request in own.requests)


@pytest.mark.parametrize(
    ("fault", "sign_", "words"),
    [("status:500@accounts", "!", "500"), ("workspace_missing", "!", "has no entry"), ("reset@accounts", "·", "")],
)
def test_a_question_for_the_routing_that_fails(
    lone: Run, workspace: Simulator, fault: str, sign_: str, words: str
) -> None:
    workspace.fail(fault, times=None)
    ran = lone("doctor")
    assert ran.code == 0
    assert sign(ran, "Routing") == sign_
    assert words in line(ran, "Routing")


def test_a_call_of_your_own_is_explained(lone: Run, store_login: StoreLogin, tmp_path: Path) -> None:
    store_login()
    file = tmp_path / "call.json"
    file.write_text(json.dumps({"input": "My secret plan", "temperature": 0, "reasoning": {"effort": "minimal"}}))
    ran = lone("doctor", "--params", str(file))
    assert ran.code == 1
    assert "The backend does not accept `temperature`." in line(ran, "Call")
    assert "The call:" not in ran.out
    assert "My secret plan" not in ran.out
    file.write_text(json.dumps({"input": "My secret plan"}))
    ran = lone("doctor", "--params", str(file), "--json")
    assert ran.code == 0
    assert "The input is a string. It is sent as a user message." in ran.out
    assert "My secret plan" not in ran.out


def test_a_call_that_python_would_not_take(lone: Run, store_login: StoreLogin, tmp_path: Path) -> None:
    store_login()
    file = tmp_path / "call.json"
    file.write_text('{"input": "hi", "extra_headers": 7}')
    ran = lone("doctor", "--params", str(file))
    assert ran.code == 1
    assert "These are no parameters of a call" in line(ran, "Call")


@pytest.mark.parametrize(("text", "words"), [("{", "is not JSON"), ("[]", "holds no JSON object")])
def test_a_file_that_is_no_call(lone: Run, tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "call.json"
    file.write_text(text)
    ran = lone("doctor", "--params", str(file))
    assert ran.code == 2
    assert words in ran.err


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize("columns", [36, 80])
def test_a_terminal_of_any_width(spawn: Spawn, store_login: StoreLogin, columns: int) -> None:
    import pty

    store_login()
    ours, theirs = pty.openpty()
    with spawn("doctor", stdout=theirs, env={"COLUMNS": str(columns)}) as process:
        os.close(theirs)
        shown = read_all(ours).decode()
        assert process.wait(timeout=30) == 0
    assert "\x1b[32m\x1b[1m✓\x1b[0m" in shown
    plain = re.sub(r"\x1b\[\d*m", "", shown).splitlines()
    long = [each for each in plain if len(each) > columns]
    assert all(" " not in each.strip() or "http" in each or "/" in each for each in long), long


def read_all(descriptor: int) -> bytes:
    found = b""
    while True:
        try:
            chunk = os.read(descriptor, 65536)
        except OSError:  # the other end is closed
            chunk = b""
        if not chunk:
            os.close(descriptor)
            return found
        found += chunk


def test_a_terminal_that_knows_ascii_only(run_alone: Run, store_login: StoreLogin) -> None:
    store_login()
    ran = run_alone("doctor", env={"PYTHONIOENCODING": "ascii"})
    assert ran.code == 0
    assert ran.out.startswith("+ Versions")
    assert "> Unset CODEX_BASE_URL" in ran.out


def test_its_help_names_no_secret_and_all_options(run: Run) -> None:
    ran = run("doctor", "--help")
    assert all(option in ran.out for option in ("--json", "--params", "--timeout"))
