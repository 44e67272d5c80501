"""Test `codex-backend serve` as a process: its start, its key, its login and its end."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import httpx2
import pytest
from pages import ROOT
from support.scripted_backend import wait_until

from codex_backend_sdk.auth import Credentials, FileStore
from codex_backend_sdk.testing import Turn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cli.command_runs import Process, Run, Spawn, StoreLogin

    from codex_backend_sdk.testing import Simulator

KEY = "a-key-of-my-own-1234"
OWN_KEY = {"CODEX_SERVER_KEY": KEY}
needs_signals = pytest.mark.skipif(os.name == "nt", reason="Windows cannot send signals to another process")


@contextmanager
def serving(spawn: Spawn, *arguments: str, **env: str) -> Iterator[tuple[Process, str]]:
    """Start the server, yield its process and its base URL, and end it."""
    with spawn("serve", "--port", "0", "--json", *arguments, env=OWN_KEY | env) as process:
        try:
            yield process, json.loads(process.stdout.readline())["base_url"]
        finally:
            process.terminate()
            process.communicate(timeout=30)


def get(base_url: str, path: str, key: str = KEY) -> httpx2.Response:
    return httpx2.get(base_url + path, headers={"authorization": f"Bearer {key}"}, timeout=30)


@needs_signals
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_serve_shows_a_new_key_once(spawn: Spawn, store_login: StoreLogin, tmp_path: Path, stop: int) -> None:
    store_login()
    key_file = tmp_path / "data" / "server_key"
    for is_first in (True, False):
        with spawn("serve", "--port", "0") as process:
            lines = []
            while not lines or "Ctrl-C" not in lines[-1]:
                lines.append(process.stdout.readline())
                assert process.poll() is None
            text, key = "".join(lines), key_file.read_text().strip()
            assert (key in text) is is_first
            assert ("This key is new." in text) is is_first
            assert str(key_file) in text
            assert "export OPENAI_BASE_URL=http://127.0.0.1:" in text
            assert "your own plan, for your own programs" in text
            assert "At most 4 model requests run at the same time, and others wait, because the backend" in text
            assert (f"\n  cat {key_file}\n" in text) is not is_first
            assert ("or these values in its settings" in text) is is_first
            base_url = lines[0].split()[-1]
            assert get(base_url, "/models", key).status_code == 200
            assert get(base_url, "/models", "sk-wrong").status_code == 401
            process.send_signal(stop)
            out, err = process.communicate(timeout=30)
        assert (process.returncode, out) == (0, "Stopped.\n")
        assert key not in err
        ok, rejected = err.splitlines()
        assert " GET  /v1/models 200 python-httpx2/" in ok
        assert " 401 " in rejected
        assert rejected.endswith(" s local_invalid_key")


def test_start_with_a_custom_key_names_the_variable(spawn: Spawn) -> None:
    with spawn("serve", "--port", "0", "--concurrency", "1", env=OWN_KEY) as process:
        lines = []
        while not lines or "Ctrl-C" not in lines[-1]:
            lines.append(process.stdout.readline())
            assert process.poll() is None
        process.terminate()
        process.communicate(timeout=30)
    text = "".join(lines)
    assert KEY not in text
    assert '\n  export OPENAI_API_KEY="$CODEX_SERVER_KEY"\n' in text
    assert '\n  echo "$CODEX_SERVER_KEY"\n' in text
    assert "At most 1 model request runs at the same time" in text


@needs_signals
@pytest.mark.timeout(120)
@pytest.mark.parametrize(("first", "second"), [(signal.SIGTERM, None), (signal.SIGINT, signal.SIGINT)])
def test_signal_ends_a_stream_with_an_error(
    spawn: Spawn, store_login: StoreLogin, sim: Simulator, first: int, second: int | None
) -> None:
    store_login()
    sim.script(Turn.text("one two three").stalled(8, 100))
    headers = {"authorization": f"Bearer {KEY}"}
    body = {"model": "gpt-6.1-terra", "input": "hi", "stream": True}
    with serving(spawn) as (process, base_url), httpx2.Client(headers=headers, timeout=60) as client:
        with client.stream("POST", f"{base_url}/responses", json=body) as response:
            parts = response.iter_text()
            next(parts)
            process.send_signal(first)
            if second is not None:  # at once
                wait_until(lambda: not can_connect(base_url))
                process.send_signal(second)
            assert "local_shutting_down" in "".join(parts)
        _, err = process.communicate(timeout=30)
        assert process.returncode == 0
    assert err.count("Stopping. 1 request is running and has up to 5 seconds. Press Ctrl-C again to stop at once.") == 1
    assert re.search(r" 200 \S+ gpt-6\.1-terra .* s local_shutting_down\n", err)


def can_connect(base_url: str) -> bool:
    url = httpx2.URL(base_url)
    try:
        socket.create_connection((url.host, url.port), timeout=5).close()
    except OSError:
        return False
    return True


def test_serve_works_on_the_simulator_as_documented(spawn: Spawn) -> None:
    """`docs/server.md` shows which variables the terminal of the server needs."""
    page = (ROOT / "docs" / "server.md").read_text(encoding="utf-8")
    section = page.partition("### Without an account")[2].partition("\n## ")[0]
    documented = re.findall(r"^  export (\w+)=", section, re.MULTILINE)
    with spawn("simulate", "--json") as simulator:
        variables = json.loads(simulator.stdout.readline())["environment"]
        assert documented == list(variables)
        with serving(spawn, **variables) as (_, base_url):
            body = {"model": "gpt-5.5", "messages": [{"role": "user", "content": "Say hello there"}]}
            headers = {"authorization": f"Bearer {KEY}"}
            response = httpx2.post(f"{base_url}/chat/completions", json=body, headers=headers, timeout=60)
        simulator.terminate()
        simulator.communicate(timeout=30)
    assert response.json()["choices"][0]["message"]["content"] == "hello there"


def test_serve_json_is_one_object(spawn: Spawn, tmp_path: Path) -> None:
    with spawn("serve", "--port", "0", "--json", "--quiet", "--concurrency", "7") as process:
        document = json.loads(process.stdout.readline())
        assert get(document["base_url"].removesuffix("/v1"), "/health").json() == {"status": "ok"}
        process.terminate()
        out, err = process.communicate(timeout=30)
    assert out == ""
    assert document["key_file"] == str(tmp_path / "data" / "server_key")
    assert document["concurrency"] == 7
    assert "sk-codex" not in json.dumps(document)
    assert "your own plan" in err
    assert "/health" not in err


@pytest.mark.parametrize("path", ["/responses", "/chat/completions"])
def test_changes_are_logged_once(spawn: Spawn, store_login: StoreLogin, sim: Simulator, path: str) -> None:
    store_login()
    prompt = [{"role": "user", "content": "Say hello"}]
    body = {"temperature": 0, "input" if path == "/responses" else "messages": prompt, "model": "gpt-6.1-terra"}
    with serving(spawn) as (process, base_url):
        for _ in range(2):
            headers = {"authorization": f"Bearer {KEY}"}
            response = httpx2.post(base_url + path, json=body, headers=headers, timeout=30)
            assert response.headers["x-codex-backend-changes"] == "dropped temperature"
        process.terminate()
        _, err = process.communicate(timeout=30)
    assert err.count("temperature") == 1
    assert err.count(f" POST /v1{path} 200 ") == 2
    assert [request.body.get("instructions") for request in sim.model_requests] == [None, None]


def test_new_key_rejects_the_old_one(spawn: Spawn, store_login: StoreLogin, tmp_path: Path) -> None:
    store_login()
    keys = []
    for arguments in ([], ["--new-key"]):
        with spawn("serve", "--port", "0", "--json", *arguments) as process:
            base_url = json.loads(process.stdout.readline())["base_url"]
            keys.append((tmp_path / "data" / "server_key").read_text().strip())
            statuses = [get(base_url, "/models", key).status_code for key in keys]
            process.terminate()
            process.communicate(timeout=30)
    assert keys[0] != keys[1]
    assert statuses == [401, 200]


def test_login_after_the_start_needs_no_restart(spawn: Spawn, store_login: StoreLogin) -> None:
    with serving(spawn) as (_, base_url):
        response = get(base_url, "/usage")
        assert (response.status_code, response.json()["error"]["code"]) == (401, "login_required")
        assert "`codex-backend login`" in response.json()["error"]["message"]
        store_login()
        assert get(base_url, "/usage").status_code == 200


JSON_START = ("--json", "--quiet")


@pytest.mark.parametrize(
    ("document", "words", "arguments"),
    [
        pytest.param(None, "There is no login in ", (), id="none-text"),
        pytest.param(None, "There is no login in ", JSON_START, id="none-json"),
        pytest.param({"OPENAI_API_KEY": "sk-proj-0123456789"}, "contains ", JSON_START, id="API key-json"),
        pytest.param("{", "is not a valid auth.json", (), id="damaged-text"),
    ],
)
def test_start_without_a_login_names_the_command(
    spawn: Spawn, home: Path, document: object, words: str, arguments: tuple[str, ...]
) -> None:
    if document is not None:
        home.mkdir(exist_ok=True)
        (home / "auth.json").write_text(document if isinstance(document, str) else json.dumps(document))
    with spawn("serve", "--port", "0", *arguments, env=OWN_KEY) as process:
        read_start(process)
        process.terminate()
        _, err = process.communicate(timeout=30)
    (line,) = " ".join(err.split()).split("Not logged in. ")[1:]
    assert words in line
    assert "`codex-backend login`" in line


@pytest.mark.parametrize("has_token", [False, True], ids=["file", "variable"])
def test_start_with_a_login_prints_no_note(
    spawn: Spawn, store_login: StoreLogin, sim: Simulator, has_token: bool
) -> None:
    env = {"CODEX_ACCESS_TOKEN": sim.personal_access_token()} if has_token else {}
    if not has_token:
        store_login()
    with spawn("serve", "--port", "0", "--json", env=OWN_KEY | env) as process:
        read_start(process)
        process.terminate()
        _, err = process.communicate(timeout=30)
    assert "Not logged in" not in err
    assert sim.requests == []


def read_start(process: Process) -> None:
    """Read the lines that a server prints at its start."""
    while (line := process.stdout.readline()) and not ("Ctrl-C" in line or line.startswith("{")):
        assert process.poll() is None


def test_new_login_file_is_used_after_a_401(spawn: Spawn, store_login: StoreLogin, sim: Simulator) -> None:
    store_login()
    with serving(spawn) as (_, base_url):
        assert get(base_url, "/usage").status_code == 200
        old_token = sim.requests[-1].headers["authorization"]
        store_login()
        sim.fail("unauthorized@usage")
        assert get(base_url, "/usage").status_code == 200
        assert sim.requests[-1].headers["authorization"] != old_token
        refreshes = [request for request in sim.requests if request.path.endswith("/oauth/token")]
        assert refreshes == []  # the file had the login; the old one was not refreshed


def test_token_that_expired_during_sleep_is_refreshed(spawn: Spawn, store_login: StoreLogin, sim: Simulator) -> None:
    store_login(sim.login_document(expires_in=-timedelta(hours=3)))
    with serving(spawn) as (_, base_url):
        assert get(base_url, "/usage").status_code == 200
    assert sum(request.path.endswith("/oauth/token") for request in sim.requests) == 1


def test_token_that_another_program_rotated_is_used(
    spawn: Spawn, store_login: StoreLogin, sim: Simulator, home: Path
) -> None:
    store_login()
    with serving(spawn) as (_, base_url):
        assert get(base_url, "/usage").status_code == 200
        credentials = Credentials(FileStore(home / "auth.json"), issuer=sim.issuer)  # another program
        credentials.refresh(credentials.current())
        sim.fail("unauthorized:token_revoked@usage")
        assert get(base_url, "/usage").status_code == 200
    assert sum(request.path.endswith("/oauth/token") for request in sim.requests) == 1


def test_serve_on_a_port_in_use_names_the_option(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        result = run("serve", "--port", str(other.getsockname()[1]))
    assert (result.code, result.out) == (1, "")
    assert "Another `codex-backend serve` may be running: use it, or choose another port with `--port`." in result.err


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.com"])
def test_other_host_needs_a_custom_key(run: Run, host: str, tmp_path: Path) -> None:
    result = run("serve", "--host", host)
    assert result.code == 2
    assert "Set CODEX_SERVER_KEY" in result.err
    assert not (tmp_path / "data").exists()


def test_other_host_with_a_key_warns(spawn: Spawn) -> None:
    with spawn("serve", "--port", "0", "--json", "--host", "0.0.0.0", env=OWN_KEY) as process:
        document = json.loads(process.stdout.readline())
        assert document["key_file"] is None
        port = int(document["base_url"].rpartition(":")[2].removesuffix("/v1"))
        headers = {"host": "host.docker.internal:8765", "authorization": f"Bearer {KEY}"}
        assert httpx2.get(f"http://127.0.0.1:{port}/health", headers=headers).status_code == 200
        process.terminate()
        _, err = process.communicate(timeout=30)
    assert "it has no TLS" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--allow-origin", "*"],
        ["--allow-origin", "http://localhost:3000/"],
        ["--allow-origin", "https://*.example.com"],
        ["--allow-origin", "localhost:3000"],
        ["--allowed-host", "http://name"],
        ["--allowed-host", "*"],
        ["--allowed-host", "name:80"],
        ["--concurrency", "0"],
        ["--unsupported", "ignore"],
    ],
)
def test_invalid_option_is_a_usage_error(run: Run, arguments: list[str]) -> None:
    assert run("serve", *arguments).code == 2


def test_weak_key_is_an_error(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEX_SERVER_KEY", "secret")
    result = run("serve", "--port", "0")
    assert result.code == 1
    assert "not a usable key" in result.err


@pytest.mark.parametrize("module", ["starlette", "uvicorn", "websockets"])
def test_missing_extra_is_one_sentence(run_in_process: Run, module: str) -> None:
    result = run_in_process("serve", code=f"import sys; sys.modules[{module!r}] = None")
    assert result.code == 1
    assert f"needs the package {module}" in result.err
    assert "pip install '.[server]'" in result.err
    assert "Traceback" not in result.err


def test_help_loads_no_web_packages(run_in_process: Run, print_imports: str) -> None:
    assert "imported: []" in run_in_process("serve", "--help", code=print_imports).err


def test_https_client_gets_a_line_that_says_so(spawn: Spawn) -> None:
    with spawn("serve", "--port", "0", "--json", env=OWN_KEY) as process:
        port = int(json.loads(process.stdout.readline())["base_url"].rpartition(":")[2].removesuffix("/v1"))
        context = ssl.create_default_context()
        with socket.create_connection(("127.0.0.1", port)) as plain, pytest.raises(ssl.SSLError):
            context.wrap_socket(plain, server_hostname="localhost")
        process.terminate()
        _, err = process.communicate(timeout=30)
    assert "A client used https://" in err
