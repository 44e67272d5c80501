"""Test that `codex-backend doctor` reports each problem with its remedy and continues with the other checks."""

from __future__ import annotations

import json
import os
import re
import socket
import threading
import time
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import click
import pytest

from codex_backend_sdk import Routing
from codex_backend_sdk.cli.doctor.checks import CHECKS
from codex_backend_sdk.testing import ModelCatalog, SimulatedAccount, SimulatedLimits, SimulatedWindow, Simulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cli.command_runs import CommandResult, Run, StoreLogin

posix_only = pytest.mark.skipif(os.name != "posix", reason="needs POSIX file modes and locks")
CHECK_NAMES = CHECKS.keys()


def results_of(result: CommandResult, name: str) -> str:
    """Return the results of one check as one line."""
    match = re.search(rf"^(. {name:<15}.*(?:\n. {{16}}.*)*)", result.out, re.MULTILINE)
    assert match, result.out
    return " ".join(match[1].split())


def symbol_of(result: CommandResult, name: str) -> str:
    return results_of(result, name)[0]


@pytest.fixture
def doctor(run: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[..., CommandResult]:
    """Run `doctor` where a browser can be opened."""
    monkeypatch.setenv("BROWSER", "w3m")
    return lambda *arguments: run("doctor", *arguments)


def test_working_setup_passes_all_checks(doctor: Run, store_login: StoreLogin, sim: Simulator, home: Path) -> None:
    document = store_login()
    (home / "auth.json").chmod(0o600)
    before = (home / "auth.json").read_bytes()
    result = doctor()
    assert (result.code, result.err) == (0, "")
    for name in CHECK_NAMES - {"Variables", "Browser login"}:  # the simulator's URLs, and ports in use
        assert symbol_of(result, name) == "✓", results_of(result, name)
    assert "user@example.com, plan pro; valid until" in results_of(result, "Login")
    assert "11 models are available and 3 hidden ones, including" in results_of(result, "Account")
    assert results_of(result, "Variables").count("A simulator or a proxy runs on this machine.") == 2
    assert "user-agent" not in result.out.lower()
    assert "5 h 12 % used" in results_of(result, "Account")
    assert f"{sim.base_url}/responses" in result.out
    assert result.out.endswith("\nNo problems found.\n") or "ports 1455 and 1457" in result.out
    assert max(map(len, result.out.splitlines())) <= 100 or str(home) in result.out
    assert not any(document["tokens"][name] in result.out for name in ("access_token", "refresh_token", "id_token"))
    requests = [(request.method, request.path) for request in sim.requests]
    assert ("POST", "/backend-api/codex/responses") not in requests  # only the upgrade to a WebSocket
    assert ("POST", "/oauth/token") not in requests
    assert (home / "auth.json").read_bytes() == before
    assert [path.name for path in home.iterdir()] == ["auth.json"]


def test_json_option_prints_the_report(doctor: Run, store_login: StoreLogin) -> None:
    store_login()
    result = doctor("--json")
    report = json.loads(result.out)
    assert (result.code, result.err) == (0, "")
    assert report["is_ok"] is True
    assert report["checks"][0]["check"] == "Versions"
    assert {row["check"] for row in report["checks"]} == CHECK_NAMES | {"Call"}
    assert report["checks"][0].keys() == {"check", "level", "message", "remedy"}
    assert report["call"]["model"] == "gpt-6.1-terra"
    assert "body" not in report["call"]["prepared_request"]


# --- the login and its store ----------------------------------------------------------------------------------------


def test_missing_login_is_an_error(doctor: Run, home: Path) -> None:
    result = doctor()
    assert result.code == 1
    assert results_of(result, "Login").startswith("✗ Login There is no login in")
    assert "codex-backend login --device" in results_of(result, "Login")
    assert symbol_of(result, "Account") == "·"
    assert symbol_of(result, "Call") == "✓"
    assert not home.exists()
    assert re.search(r"^1 error(, \d warnings?)?\.$", result.out, re.MULTILINE)


def test_damaged_login_is_an_error(doctor: Run, home: Path) -> None:
    home.mkdir()
    (home / "auth.json").write_text('{"tokens": {"access_token": "hush hush"}}')
    result = doctor()
    assert result.code == 1
    assert results_of(result, "Login").startswith(f"✗ Login {home / 'auth.json'}")
    assert "there is no valid login" in results_of(result, "Account")
    assert symbol_of(result, "Backend") == "✓"
    assert "hush" not in result.out


def test_api_key_is_not_a_login(doctor: Run, store_login: StoreLogin) -> None:
    store_login({"OPENAI_API_KEY": "sk-hush"})
    result = doctor()
    assert "contains an OpenAI API key, not a ChatGPT login" in results_of(result, "Login")
    assert "sk-hush" not in result.out


def test_expired_login_is_not_refreshed(doctor: Run, store_login: StoreLogin, sim: Simulator) -> None:
    store_login(sim.login_document(expires_in=-timedelta(hours=3, minutes=1)))
    result = doctor()
    assert result.code == 0
    assert "(3 h 1 min ago); refreshed automatically" in results_of(result, "Login")
    assert "The next call tries to refresh it" in results_of(result, "Account")
    assert "/oauth/token" not in [request.path for request in sim.requests]


@pytest.mark.parametrize(
    ("hours", "code", "message"),
    [(3, 0, "expires soon and cannot be refreshed"), (-3, 1, "has expired and cannot be refreshed")],
)
def test_login_without_refresh_token_is_reported(
    doctor: Run, store_login: StoreLogin, sim: Simulator, hours: int, code: int, message: str
) -> None:
    document = sim.login_document(expires_in=timedelta(hours=hours))
    del document["tokens"]["refresh_token"]
    store_login(document)
    result = doctor()
    assert result.code == code
    assert message in results_of(result, "Login")


def test_login_without_an_account_is_reported(doctor: Run, store_login: StoreLogin) -> None:
    store_login({"tokens": {"access_token": "opaque"}})
    result = doctor()
    assert "has no account ID" in result.out
    assert "plan unknown; cannot be refreshed" in results_of(result, "Login")
    assert "opaque" not in result.out


def test_token_variable_is_checked(doctor: Run, sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEX_ACCESS_TOKEN", sim.personal_access_token())
    result = doctor()
    assert result.code == 0
    assert "CODEX_ACCESS_TOKEN is set and is used" in results_of(result, "Variables")
    assert "the variable CODEX_ACCESS_TOKEN" in results_of(result, "Login")
    assert symbol_of(result, "Account") == "✓"
    assert len([request for request in sim.requests if request.path.endswith("/whoami")]) == 1
    monkeypatch.setenv("CODEX_ACCESS_TOKEN", "at-hush")
    result = doctor()
    assert result.code == 1
    assert symbol_of(result, "Login") == "✗"
    assert "at-hush" not in result.out


def test_stored_personal_token_is_accepted(doctor: Run, store_login: StoreLogin, sim: Simulator) -> None:
    store_login({"OPENAI_API_KEY": None, "personal_access_token": sim.personal_access_token()})
    result = doctor()
    assert (result.code, symbol_of(result, "Account")) == (0, "✓")


@posix_only
def test_readable_store_is_reported(doctor: Run, store_login: StoreLogin, home: Path) -> None:
    store_login()
    (home / "auth.json").chmod(0o644)
    assert f"(mode 0644). → Run `chmod 600 {home / 'auth.json'}`" in results_of(doctor(), "Store")


@posix_only
def test_locked_store_is_reported(doctor: Run, store_login: StoreLogin, home: Path) -> None:
    import fcntl

    store_login()
    with (home / "auth.json.lock").open("w") as lock:
        assert "Another process" not in doctor().out
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "auth.json.lock. It may be refreshing the login" in results_of(doctor(), "Store")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root can write to any folder")
def test_read_only_store_is_reported(doctor: Run, store_login: StoreLogin, home: Path) -> None:
    store_login()
    (home / "auth.json").chmod(0o400)
    home.chmod(0o500)
    try:
        assert "is not writable" in results_of(doctor(), "Store")
    finally:
        home.chmod(0o700)


@posix_only
@pytest.mark.parametrize("name", ["auth.json", "auth.json.lock"])
def test_named_pipe_does_not_block(doctor: Run, store_login: StoreLogin, home: Path, name: str) -> None:
    store_login()
    (home / name).unlink(missing_ok=True)
    os.mkfifo(home / name)
    result = doctor("--timeout", "2")
    assert symbol_of(result, "Login") == ("✗" if name == "auth.json" else "✓")
    assert "Another process" not in result.out


def test_store_in_memory_is_reported(doctor: Run, home: Path) -> None:
    home.mkdir()
    (home / "config.toml").write_text('cli_auth_credentials_store = "ephemeral"')
    assert "Logins are stored in memory." in results_of(doctor(), "Store")


# --- the network ----------------------------------------------------------------------------------------------------


@pytest.fixture
def closed_port() -> Iterator[int]:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # without listening
        yield bound.getsockname()[1]


@contextmanager
def serve(response: bytes | None) -> Iterator[str]:
    """Run a server that sends this response to every request, or no response; yield its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connections = []

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                connections.append(connection)
                if response is not None:
                    connection.recv(65536)
                    connection.sendall(response)
                    # close() would reset the connection, and lose the response, if a part of the request is not read.
                    connection.shutdown(socket.SHUT_WR)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        for connection in connections:
            connection.close()
    thread.join(5)


def use_server(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("CODEX_BASE_URL", f"{url}/backend-api/codex")
    monkeypatch.setenv("CODEX_ISSUER_URL", url)


def test_unreachable_servers_are_reported(
    doctor: Run, store_login: StoreLogin, monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    store_login()
    use_server(monkeypatch, f"http://127.0.0.1:{closed_port}")
    result = doctor()
    assert result.code == 1
    for name in ("Backend", "Issuer"):
        assert "is not reachable" in results_of(result, name)
        assert "Nothing listens there" in results_of(result, name)
    assert [symbol_of(result, name) for name in ("Account", "Login", "Call")] == ["·", "✓", "✓"]


def test_unresponsive_server_is_reported(doctor: Run, store_login: StoreLogin, monkeypatch: pytest.MonkeyPatch) -> None:
    store_login()
    with serve(None) as url:
        use_server(monkeypatch, url)
        began = time.monotonic()
        result = doctor("--timeout", "2")
        assert time.monotonic() - began < 20
    assert result.code == 1
    assert [symbol_of(result, name) for name in ("Backend", "Login")] == ["✗", "✓"]


@pytest.mark.parametrize(
    ("date", "code", "message"),
    [
        ("Sat, 01 Jan 2000 00:00:00 GMT", 1, "fast. Valid logins and certificates can be rejected."),
        ("Thu, 01 Jan 2099 00:00:00 GMT", 1, "slow. Valid logins and certificates can be rejected."),
        ("yesterday", 0, "no valid date"),
    ],
)
def test_wrong_clock_is_reported(
    doctor: Run, store_login: StoreLogin, monkeypatch: pytest.MonkeyPatch, date: str, code: int, message: str
) -> None:
    with serve(f"HTTP/1.1 401 No\r\nDate: {date}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()) as url:
        store_login()
        use_server(monkeypatch, url)
        result = doctor()
    assert result.code == code
    assert symbol_of(result, "Backend") == "✓"
    assert message in results_of(result, "Backend")


def test_proxy_is_shown_without_its_password(
    doctor: Run, store_login: StoreLogin, monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    store_login()
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:hush@127.0.0.1:{closed_port}")
    monkeypatch.setenv("CODEX_BASE_URL", "https://backend.example/backend-api/codex")
    monkeypatch.setenv("CODEX_ISSUER_URL", "https://issuer.example")
    result = doctor()
    assert result.code == 1
    assert f"backend.example is reached through the proxy http://…@127.0.0.1:{closed_port}." in results_of(
        result, "Network"
    )
    assert "Check HTTPS_PROXY" in results_of(result, "Backend")
    assert "hush" not in result.out + result.err


@pytest.mark.parametrize(
    ("name", "value"),
    [("CODEX_CA_CERTIFICATE", "/nowhere/ca.pem"), ("HTTPS_PROXY", "ftp://me:hush@proxy.example")],
)
def test_invalid_network_setting_is_reported(
    doctor: Run, store_login: StoreLogin, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    store_login()
    monkeypatch.setenv(name, value)
    result = doctor()
    assert result.code == 1
    assert f"✗ Network {name} " in results_of(result, "Network")
    assert result.out.count("✗") == 1
    assert "Not explained" in results_of(result, "Call")
    assert "hush" not in result.out


def test_added_ca_certificate_is_reported(doctor: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    trustme = pytest.importorskip("trustme")
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("CODEX_CA_CERTIFICATE", str(tmp_path / "ca.pem"))
    assert "CA certificates are loaded from CODEX_CA_CERTIFICATE=" in results_of(doctor(), "Network")


def test_unsafe_backend_url_is_an_error(doctor: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEX_BASE_URL", "http://me:hush@example.com/codex")
    result = doctor()
    assert result.code == 1
    assert "✗ Backend CODEX_BASE_URL must be" in results_of(result, "Backend")
    assert "http://…@example.com/codex" in results_of(result, "Variables")
    assert "Not explained" in results_of(result, "Call")
    assert "hush" not in result.out


@pytest.mark.parametrize(
    ("fault", "name", "message"),
    [
        ("cloudflare:challenge@models", "Account", "✗ Account Cloudflare"),
        ("unauthorized@models", "Account", "! Account The backend rejects the access token (401)."),
        ("unauthorized@usage", "Account", "! The backend rejects the access token (401). → Call the backend again"),
        ("status:500@models", "Backend", "! Backend http://127.0.0.1"),
        ("html@usage", "Account", "! The"),
        ("reset@usage", "Account", "· No response"),
    ],
)
def test_failing_backend_is_reported(
    doctor: Run, store_login: StoreLogin, sim: Simulator, fault: str, name: str, message: str
) -> None:
    store_login()
    sim.fail(fault, times=None)
    assert message in results_of(doctor(), name)
    assert "/oauth/token" not in [request.path for request in sim.requests]


def test_rejected_login_without_refresh_token_fails(doctor: Run, store_login: StoreLogin, sim: Simulator) -> None:
    document = sim.login_document()
    del document["tokens"]["refresh_token"]
    store_login(document)
    sim.fail("unauthorized@models", times=None)
    result = doctor()
    assert (result.code, symbol_of(result, "Account")) == (1, "✗")


def test_exhausted_limit_and_missing_model_are_reported(
    doctor: Run, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    with Simulator(
        model_catalog=ModelCatalog.of("gpt-a", "gpt-b"),
        limits=SimulatedLimits(primary=SimulatedWindow(100, minutes=300)),
    ) as other:
        other.write_codex_home(home)
        for name, value in other.environment.items():
            monkeypatch.setenv(name, value)
        account = results_of(doctor(), "Account")
    assert "but not the default, `gpt-6.1-terra`. → Pass `model=`: gpt-a, gpt-b. !" in account
    assert "5 h 100 % used" in account


@pytest.fixture
def enterprise(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """A simulator with an enterprise account, for which the client looks up the routing of its workspace."""
    with Simulator(account=SimulatedAccount(plan="enterprise")) as simulator:
        simulator.write_codex_home(home)
        for name, value in simulator.environment.items():
            monkeypatch.setenv(name, value)
        yield simulator


def test_routing_of_the_workspace_is_reported(doctor: Run, enterprise: Simulator) -> None:
    assert "go to http://127.0.0.1:" in results_of(doctor(), "Workspace")
    with Simulator(accepts_logins_of=enterprise) as workspace_backend:
        enterprise.routing = Routing(origin=workspace_backend.url, override="us")
        result = doctor()
    assert f"go to {workspace_backend.url}, with the routing override `us`." in results_of(result, "Workspace")
    assert f"POST {workspace_backend.base_url}/responses" in result.out
    assert [request.method for request in workspace_backend.requests if request.path.endswith("/responses")] == ["GET"]


@pytest.mark.parametrize(
    ("fault", "symbol", "message"),
    [
        ("status:500@accounts", "!", "500"),
        ("workspace_missing", "!", "no usable routing"),
        ("reset@accounts", "·", "No response"),
    ],
)
def test_unknown_workspace_routing_is_reported(
    doctor: Run, enterprise: Simulator, fault: str, symbol: str, message: str
) -> None:
    enterprise.fail(fault, times=None)
    result = doctor()
    assert result.code == 0
    assert symbol_of(result, "Workspace") == symbol
    assert message in results_of(result, "Workspace")


# --- the explained call ---------------------------------------------------------------------------------------------


def test_params_are_explained_without_the_prompt(doctor: Run, store_login: StoreLogin, tmp_path: Path) -> None:
    store_login()
    file = tmp_path / "call.json"
    file.write_text(json.dumps({"input": "My secret plan", "temperature": 0}))
    result = doctor("--params", str(file))
    assert result.code == 1
    assert "`temperature`" in results_of(result, "Call")
    assert "The call:" not in result.out
    assert "My secret plan" not in result.out
    file.write_text(json.dumps({"input": "My secret plan"}))
    result = doctor("--params", str(file), "--json")
    assert result.code == 0
    assert [row["level"] for row in json.loads(result.out)["checks"] if row["check"] == "Call"][:2] == ["ok", "note"]
    assert "My secret plan" not in result.out


def test_invalid_parameter_is_reported(doctor: Run, store_login: StoreLogin, tmp_path: Path) -> None:
    store_login()
    file = tmp_path / "call.json"
    file.write_text('{"input": "hi", "extra_headers": 7}')
    result = doctor("--params", str(file))
    assert result.code == 1
    assert "does not accept these parameters" in results_of(result, "Call")


@pytest.mark.parametrize(("text", "message"), [("{", "is not JSON"), ("[]", "does not contain a JSON object")])
def test_invalid_params_file_is_a_usage_error(doctor: Run, tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "call.json"
    file.write_text(text)
    result = doctor("--params", str(file))
    assert result.code == 2
    assert message in result.err


# --- the terminal ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [36, 80])
def test_report_fits_the_terminal(run_in_terminal: Callable[..., str], store_login: StoreLogin, columns: int) -> None:
    store_login()
    output = run_in_terminal("doctor", columns=columns)
    assert "\x1b[32m\x1b[1m✓\x1b[0m" in output
    long_lines = [line for line in click.unstyle(output).splitlines() if len(line) > columns]
    assert all(len(line.split()) == 1 for line in long_lines), long_lines
