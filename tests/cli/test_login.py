"""Test `codex-backend login` and `codex-backend logout`."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from codex_backend_sdk.testing import DeviceLoginSettings, Simulator

if TYPE_CHECKING:
    from pathlib import Path

    from cli.command_runs import Process, Run, Spawn, StoreLogin


URL_PATTERN = re.compile(r"https?://\S+")
# A program for the variable BROWSER that fetches the page and follows its redirects.
BROWSER_PROGRAM = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1]).read()"


def start_login(
    spawn: Spawn, *, browser: tuple[str, ...] = ("--no-browser",), extra: tuple[str, ...] = (), **options: Any
) -> Process:
    """Start a login, without a browser by default."""
    return spawn("login", *browser, "--port", "0", "--timeout", "30", *extra, **options)


def open_printed_url(process: Process) -> None:
    """Read the URL that the command prints, and visit it."""
    while (match := URL_PATTERN.search(process.stdout.readline())) is None:
        assert process.poll() is None
    httpx2.get(match[0], follow_redirects=True, timeout=10).raise_for_status()


def has_no_token(home: Path, *texts: str) -> bool:
    tokens = json.loads((home / "auth.json").read_text())["tokens"]
    return not any(tokens[name] in text for name in ("access_token", "refresh_token", "id_token") for text in texts)


def test_login_with_a_browser_imports_only_httpx2(run_in_process: Run, home: Path, print_imports: str) -> None:
    browser = f"{shlex.quote(sys.executable)} -c {shlex.quote(BROWSER_PROGRAM)} %s"
    result = run_in_process("login", "--port", "0", "--timeout", "30", code=print_imports, env={"BROWSER": browser})
    assert result.code == 0, result.err
    assert "Logged in as user@example.com (plan pro)." in result.out
    assert f"stored in {home / 'auth.json'}." in result.out
    assert result.err == "imported: ['httpx2']\n"
    assert has_no_token(home, result.out, result.err)


def test_login_without_a_browser_prints_the_url(spawn: Spawn, home: Path) -> None:
    with start_login(spawn) as process:
        open_printed_url(process)
        out = process.stdout.read()  # `communicate()` would lose the buffered text
        err = process.communicate(timeout=30)[1]
    assert process.returncode == 0, err
    assert "Logged in as user@example.com" in out
    assert "paste" not in out, "standard input is not a terminal"
    assert "The browser must run on this machine" in out
    assert (home / "auth.json").is_file()


@pytest.mark.parametrize("stored", ["ChatGPT", "API key", "damaged", "none"])
def test_login_names_the_login_that_it_replaces(
    spawn: Spawn, home: Path, store_login: StoreLogin, sim: Simulator, stored: str
) -> None:
    if stored != "none":
        before = store_login({"OPENAI_API_KEY": "sk-old"} if stored == "API key" else None)
    if stored == "damaged":
        (home / "auth.json").write_text("{")
    with start_login(spawn) as process:
        first_line = process.stdout.readline()
        open_printed_url(process)
        process.communicate(timeout=30)
    assert {
        "ChatGPT": "Logged in as user@example.com. The new login will replace this one.",
        "API key": f"{home / 'auth.json'} contains an OpenAI API key, not a ChatGPT login. The new login will replace",
    }.get(stored, "No browser was opened (--no-browser was given). Open this URL in a browser:") in first_line
    after = json.loads((home / "auth.json").read_text())
    assert after["auth_mode"] == "chatgpt"
    assert stored == "none" or after["tokens"] != before.get("tokens")


def test_login_timeout_is_one_line(run: Run, home: Path) -> None:
    result = run("login", "--no-browser", "--port", "0", "--timeout", "0.2")
    assert result.code == 1
    assert re.fullmatch(r"Error: .*0\.2 seconds.*\n", result.err)
    assert not (home / "auth.json").exists()


def test_denied_login_is_one_line(spawn: Spawn, home: Path) -> None:
    with Simulator(approval="deny") as denying_sim, start_login(spawn, env=denying_sim.environment) as process:
        open_printed_url(process)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    assert not (home / "auth.json").exists()


@pytest.mark.parametrize("timeout", ["0", "-1", "soon"])
def test_invalid_timeout_is_a_usage_error(run: Run, timeout: str) -> None:
    assert run("login", "--timeout", timeout).code == 2


def test_logout_deletes_the_login(run: Run, home: Path, store_login: StoreLogin, sim: Simulator) -> None:
    store_login()
    result = run("logout")
    assert (result.code, result.err) == (0, "")
    assert str(home / "auth.json") in result.out
    assert not (home / "auth.json").exists()
    assert sim.requests == []


def test_logout_revoke_revokes_the_tokens(run: Run, home: Path, store_login: StoreLogin, sim: Simulator) -> None:
    store_login()
    result = run("logout", "--revoke")
    assert result.code == 0
    assert result.out.endswith(" was deleted and its tokens were revoked.\n")
    assert [request.path for request in sim.requests] == ["/oauth/revoke"]
    assert not (home / "auth.json").exists()


def test_logout_revoke_of_an_api_key_only_deletes_it(run: Run, store_login: StoreLogin, sim: Simulator) -> None:
    store_login({"auth_mode": "apikey", "OPENAI_API_KEY": "sk-old"})
    assert run("logout", "--revoke").out.endswith(" was deleted.\n")
    assert sim.requests == []


def test_failed_revocation_is_an_error(run: Run, home: Path, store_login: StoreLogin, sim: Simulator) -> None:
    store_login()
    sim.fail("status:500@revoke")
    result = run("logout", "--revoke")
    assert (result.code, result.out) == (1, "")
    assert re.fullmatch(r"Error: .*not confirm.*\n", result.err)
    assert not (home / "auth.json").exists()


@pytest.mark.parametrize("arguments", [("logout",), ("logout", "--revoke")])
def test_logout_without_a_login_changes_nothing(
    run: Run, home: Path, arguments: tuple[str, ...], sim: Simulator
) -> None:
    result = run(*arguments)
    assert result.code == 0
    assert result.out.startswith("There was no login in ")
    assert sim.requests == []
    assert not home.exists(), "the folder is not created"


def test_device_login_prints_url_and_code(spawn: Spawn, home: Path) -> None:
    with (
        Simulator(approval="manual", device_login=DeviceLoginSettings(interval_seconds=1)) as device_sim,
        spawn("login", "--device", env=device_sim.environment) as process,
    ):
        output = ""
        while (match := re.search(r"  ([A-Z]{4}-\d{5})\n", output)) is None:
            assert process.poll() is None
            output += process.stdout.readline()
        assert f"  {device_sim.issuer}/codex/device\n" in output
        query = {"user_code": match[1], "decision": "approve"}
        httpx2.get(f"{device_sim.issuer}/codex/device", params=query).raise_for_status()
        out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert "Logged in as user@example.com (plan pro)." in out
    assert has_no_token(home, output, out)


def test_disabled_device_login_is_one_line(run_in_process: Run, home: Path) -> None:
    with Simulator(device_login=DeviceLoginSettings(enabled=False)) as other_sim:
        result = run_in_process("login", "--device", env=other_sim.environment)
    assert (result.code, result.out) == (1, "")
    assert re.fullmatch(r"Error: .*device code.*\n", result.err)


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "CODEX_CA_CERTIFICATE", "ALL_PROXY"])
@pytest.mark.parametrize("command", ["login", "usage"])
def test_invalid_network_setting_is_one_line(
    run_in_process: Run, store_login: StoreLogin, variable: str, command: str
) -> None:
    store_login()
    value = "socks5://127.0.0.1:9" if variable == "ALL_PROXY" else "/no/such.pem"
    result = run_in_process(command, code="import sys; sys.modules['socksio'] = None", env={variable: value})
    assert (result.code, result.out) == (1, "")
    assert re.fullmatch(rf"Error: .*{variable}.*\n", result.err)


def test_login_accepts_only_the_given_workspace(spawn: Spawn, home: Path) -> None:
    with start_login(spawn, extra=("--workspace", "acc-other")) as process:
        open_printed_url(process)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "restricted to workspace id(s) acc-other" in err
    assert not (home / "auth.json").exists()


def test_token_variable_is_reported(run_in_process: Run) -> None:
    result = run_in_process("logout", env={"CODEX_ACCESS_TOKEN": "at-mine"})
    assert result.code == 0
    assert result.err == "Note: CODEX_ACCESS_TOKEN is set and is used instead of the stored login.\n"


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_login_accepts_a_pasted_url(spawn: Spawn, home: Path) -> None:
    """In an SSH session, the user copies the callback URL from the browser of another machine."""
    import pty

    controller, terminal = pty.openpty()
    with start_login(spawn, stdin=terminal, env={"SSH_CONNECTION": "192.0.2.1 1 192.0.2.2 22"}, browser=()) as process:
        os.close(terminal)
        while (match := URL_PATTERN.search(process.stdout.readline())) is None:
            assert process.poll() is None
        callback_url = httpx2.get(match[0]).headers["location"]
        os.write(controller, b"http://127.0.0.1/auth/callback?code=ac_1&state=wrong\n")
        os.write(controller, callback_url.encode() + b"\n")
        out = process.stdout.read()
        err = process.communicate(timeout=30)[1]
    os.close(controller)
    assert (process.returncode, err) == (0, "")
    assert "codex-backend login --device" in out
    assert out.count("copy the URL") == 1, "one instruction"
    assert "Logged in as user@example.com" in out
    assert (home / "auth.json").is_file()


def test_login_json_has_the_account_and_nothing_else(spawn: Spawn, home: Path, sim: Simulator) -> None:
    with start_login(spawn, extra=("--json",)) as process:
        while (match := URL_PATTERN.search(process.stderr.readline())) is None:
            assert process.poll() is None
        httpx2.get(match[0], follow_redirects=True, timeout=10).raise_for_status()
        out, err = process.stdout.read(), process.stderr.read()
    assert process.wait(timeout=30) == 0
    assert json.loads(out) == {
        "email": "user@example.com",
        "plan": "pro",
        "account_id": sim.account.account_id,
        "stored_in": str(home / "auth.json"),
    }
    assert "Waiting up to 30 s for the login to complete." in err


def test_device_login_json_prints_the_code_to_stderr(run: Run) -> None:
    result = run("login", "--device", "--timeout", "90", "--json")
    assert result.code == 0
    assert json.loads(result.out)["email"] == "user@example.com"
    assert "enter this code within 15 min" in result.err
    assert "Waiting up to 1 min for the login to complete." in result.err


@pytest.mark.parametrize("options", [(), ("--revoke",)])
def test_logout_json_says_what_was_deleted(
    run: Run, store_login: StoreLogin, home: Path, options: tuple[str, ...]
) -> None:
    store_login()
    expected = {"had_login": True, "is_revoked": bool(options), "stored_in": str(home / "auth.json")}
    assert json.loads(run("logout", "--json", *options).out) == expected
    expected = {"had_login": False, "is_revoked": False, "stored_in": str(home / "auth.json")}
    assert json.loads(run("logout", "--json", *options).out) == expected
