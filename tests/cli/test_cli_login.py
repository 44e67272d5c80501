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

    from cli.runs import Process, Run, Spawn, StoreLogin


URL = re.compile(r"https?://\S+")
# A browser for the variable BROWSER: fetches the page and follows its redirects.
BROWSER = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1]).read()"


def begun(
    spawn: Spawn, *, browser: tuple[str, ...] = ("--no-browser",), extra: tuple[str, ...] = (), **options: Any
) -> Process:
    """Start a login that opens no browser."""
    return spawn("login", *browser, "--port", "0", "--timeout", "30", *extra, **options)


def visit(process: Process) -> None:
    """Open the address that a login prints."""
    while (found := URL.search(process.stdout.readline())) is None:
        assert process.poll() is None
    httpx2.get(found[0], follow_redirects=True, timeout=10).raise_for_status()


def no_secret_of(home: Path, *texts: str) -> bool:
    tokens = json.loads((home / "auth.json").read_text())["tokens"]
    return not any(tokens[name] in text for name in ("access_token", "refresh_token", "id_token") for text in texts)


def test_login_through_a_browser_stores_the_login_and_imports_what_asks_the_issuer_alone(
    run_alone: Run, home: Path, listing: str
) -> None:
    browser = f"{shlex.quote(sys.executable)} -c {shlex.quote(BROWSER)} %s"
    ran = run_alone("login", "--port", "0", "--timeout", "30", code=listing, env={"BROWSER": browser})
    assert ran.code == 0, ran.err
    assert "Signed in as user@example.com (plan pro)." in ran.out
    assert f"stored in {home / 'auth.json'}." in ran.out
    assert ran.err == "imported: ['httpx2']\n"
    assert no_secret_of(home, ran.out, ran.err)


def test_login_without_a_browser_prints_the_address_and_waits(spawn: Spawn, home: Path) -> None:
    with begun(spawn) as process:
        visit(process)
        out = process.stdout.read()  # not `communicate()`, which forgets what was read ahead of the lines
        err = process.communicate(timeout=30)[1]
    assert process.returncode == 0, err
    assert "Signed in as user@example.com" in out
    assert "paste" not in out, "there is nobody to do it"
    assert "The browser has to run on this machine" in out
    assert (home / "auth.json").is_file()


@pytest.mark.parametrize("kind", ["ChatGPT", "API key", "damaged", "nobody"])
def test_login_says_what_it_replaces(
    spawn: Spawn, home: Path, store_login: StoreLogin, sim: Simulator, kind: str
) -> None:
    if kind != "nobody":
        before = store_login({"OPENAI_API_KEY": "sk-old"} if kind == "API key" else None)
    if kind == "damaged":
        (home / "auth.json").write_text("{")
    with begun(spawn) as process:
        first = process.stdout.readline()
        visit(process)
        process.communicate(timeout=30)
    assert {
        "ChatGPT": "Signed in as user@example.com, until this sign-in is finished: the new login replaces that one.",
        "API key": f"{home / 'auth.json'} holds an OpenAI API key. A ChatGPT login takes its place",
    }.get(kind, "No browser is opened: you asked for none. Open this address in a browser:") in first
    after = json.loads((home / "auth.json").read_text())
    assert after["auth_mode"] == "chatgpt"
    assert kind == "nobody" or after["tokens"] != before.get("tokens")


def test_login_that_is_not_finished_in_time_is_one_line(run: Run, home: Path) -> None:
    ran = run("login", "--no-browser", "--port", "0", "--timeout", "0.2")
    assert ran.code == 1
    assert ran.err == "Error: The sign-in was not finished within 0.2 seconds.\n"
    assert not (home / "auth.json").exists()


def test_login_that_is_denied_says_so(spawn: Spawn, home: Path) -> None:
    with Simulator(approval="deny") as deny, begun(spawn, env=deny.environment) as process:
        visit(process)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    assert not (home / "auth.json").exists()


@pytest.mark.parametrize("timeout", ["0", "-1", "soon"])
def test_a_time_limit_that_is_none_is_a_usage_error(run: Run, timeout: str) -> None:
    assert run("login", "--timeout", timeout).code == 2


def test_logout_removes_the_login(run: Run, home: Path, store_login: StoreLogin, sim: Simulator) -> None:
    store_login()
    ran = run("logout")
    assert (ran.code, ran.err) == (0, "")
    assert str(home / "auth.json") in ran.out
    assert not (home / "auth.json").exists()
    assert sim.requests == []


def test_logout_can_revoke_at_the_sign_in_server(run: Run, home: Path, store_login: StoreLogin, sim: Simulator) -> None:
    store_login()
    ran = run("logout", "--revoke")
    assert ran.code == 0
    assert ran.out.endswith(" was removed, and its tokens were revoked at the sign-in server.\n")
    assert [request.path for request in sim.requests] == ["/oauth/revoke"]
    assert not (home / "auth.json").exists()


def test_an_api_key_is_removed_and_not_called_revoked(run: Run, store_login: StoreLogin, sim: Simulator) -> None:
    store_login({"auth_mode": "apikey", "OPENAI_API_KEY": "sk-old"})
    assert run("logout", "--revoke").out.endswith(" was removed.\n")
    assert sim.requests == []


def test_a_logout_that_does_not_revoke_says_so(run: Run, home: Path, store_login: StoreLogin, sim: Simulator) -> None:
    store_login()
    sim.fail("status:500@revoke")
    ran = run("logout", "--revoke")
    assert (ran.code, ran.out) == (1, "")
    assert f"Error: The login in {home / 'auth.json'} was removed, but not revoked" in ran.err
    assert not (home / "auth.json").exists()


@pytest.mark.parametrize("arguments", [("logout",), ("logout", "--revoke")])
def test_logout_of_nobody_says_so(run: Run, home: Path, arguments: tuple[str, ...], sim: Simulator) -> None:
    ran = run(*arguments)
    assert ran.code == 0
    assert ran.out.startswith("There was no login in ")
    assert sim.requests == []
    assert not home.exists(), "nor is a folder made"


def test_login_with_a_device_code_shows_where_to_type_it_in(spawn: Spawn, home: Path) -> None:
    with (
        Simulator(approval="manual", device_login=DeviceLoginSettings(interval_seconds=1)) as ask,
        spawn("login", "--device", env=ask.environment) as process,
    ):
        shown = ""
        while (found := re.search(r"  ([A-Z]{4}-\d{5})\n", shown)) is None:
            assert process.poll() is None
            shown += process.stdout.readline()
        assert f"  {ask.issuer}/codex/device\n" in shown
        query = {"user_code": found[1], "decision": "approve"}
        httpx2.get(f"{ask.issuer}/codex/device", params=query).raise_for_status()
        out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert "Signed in as user@example.com (plan pro)." in out
    assert no_secret_of(home, shown, out)


def test_login_with_a_device_code_where_that_is_switched_off_is_one_line(run_alone: Run, home: Path) -> None:
    with Simulator(device_login=DeviceLoginSettings(enabled=False)) as off:
        ran = run_alone("login", "--device", env=off.environment)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("Error: Signing in with a device code is not enabled")
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "CODEX_CA_CERTIFICATE", "ALL_PROXY"])
@pytest.mark.parametrize("command", ["login", "usage"])
def test_a_setting_of_the_network_that_cannot_be_used_is_one_line(
    run_alone: Run, store_login: StoreLogin, variable: str, command: str
) -> None:
    store_login()
    value = "socks5://127.0.0.1:9" if variable == "ALL_PROXY" else "/no/such.pem"
    ran = run_alone(command, code="import sys; sys.modules['socksio'] = None", env={variable: value})
    assert (ran.code, ran.out) == (1, "")
    assert re.fullmatch(rf"Error: .*{variable} names .*, or unset \w+\.?\n", ran.err)


def test_login_admits_only_the_workspace_that_was_named(spawn: Spawn, home: Path) -> None:
    with begun(spawn, extra=("--workspace", "acc-other")) as process:
        visit(process)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "restricted to workspace id(s) acc-other" in err
    assert not (home / "auth.json").exists()


def test_a_note_says_that_the_variable_goes_before_the_login(run_alone: Run) -> None:
    ran = run_alone("logout", env={"CODEX_ACCESS_TOKEN": "at-mine"})
    assert ran.code == 0
    assert ran.err == "Note: CODEX_ACCESS_TOKEN is set, and is used instead of the stored login.\n"


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_login_without_a_browser_takes_the_pasted_address(spawn: Spawn, home: Path) -> None:
    """As over SSH: the browser ends on an address of its own machine, which a person copies."""
    import pty

    ours, theirs = pty.openpty()
    with begun(spawn, stdin=theirs, env={"SSH_CONNECTION": "192.0.2.1 1 192.0.2.2 22"}, browser=()) as process:
        os.close(theirs)
        while (found := URL.search(process.stdout.readline())) is None:
            assert process.poll() is None
        back = httpx2.get(found[0]).headers["location"]
        os.write(ours, b"http://127.0.0.1/auth/callback?code=ac_1&state=wrong\n")
        os.write(ours, back.encode() + b"\n")
        out = process.stdout.read()
        err = process.communicate(timeout=30)[1]
    os.close(ours)
    assert (process.returncode, err) == (0, "")
    assert out.count("paste") == 1
    asked = out.partition("Signed in as")[0]
    assert max(map(len, asked.splitlines())) <= 80
    assert "paste the address that it ends on:\n" in out
    assert "Once more:\n" in out
    assert "Signed in as user@example.com" in out
    assert (home / "auth.json").is_file()
