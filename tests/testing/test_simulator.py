"""Test the lifecycle of a simulator, its URLs and its logins."""

from __future__ import annotations

import json
import os
import stat
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from codex_backend_sdk.auth import Credentials, MemoryStore
from codex_backend_sdk.testing import Simulator, Turn

BODY = {"model": "gpt-6.1-sol", "store": False, "stream": True, "input": [{"role": "user", "content": "hi"}]}


def test_second_start_raises() -> None:
    with Simulator() as sim, pytest.raises(RuntimeError, match="already running"):
        sim.start()


def test_port_in_use_raises_os_error() -> None:
    with Simulator() as sim:
        second_simulator = Simulator(port=int(sim.url.rsplit(":", 1)[1]))
        with pytest.raises(OSError, match=r"[Aa]ddress"):
            second_simulator.start()
        with pytest.raises(RuntimeError, match=r"no URL.*`with Simulator"):
            _ = second_simulator.url


def test_urls_have_the_paths_of_the_backend() -> None:
    with Simulator() as sim:
        assert sim.url.startswith("http://127.0.0.1:")
        assert sim.issuer == sim.url
        assert sim.base_url == f"{sim.url}/backend-api/codex"
        assert sim.environment == {"CODEX_BASE_URL": sim.base_url, "CODEX_ISSUER_URL": sim.url}


def test_equal_requests_get_equal_bytes_from_two_simulators() -> None:
    bodies = []
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    for _ in range(2):
        with Simulator(clock=lambda: moment) as sim, httpx2.Client(trust_env=False, verify=False) as http:
            headers = {
                "authorization": f"Bearer {sim.login_document()['tokens']['access_token']}",
                "chatgpt-account-id": sim.account.account_id,
            }
            body = {**BODY, "reasoning": {"effort": "low", "summary": "auto"}}
            bodies.append(http.post(f"{sim.base_url}/responses", json=body, headers=headers).text)
    assert bodies[0] == bodies[1]


def test_unknown_validation_rule_raises() -> None:
    with pytest.raises(ValueError, match=r"Unknown validation rule: store_flase\. Pass only .*store_false"):
        Simulator(validation_rules={"store_flase": False})


def test_exception_in_a_scripted_turn_returns_500(raw_client: Any, caplog: pytest.LogCaptureFixture) -> None:
    def fail(context: object) -> Any:
        raise KeyError("a bug")

    raw_client.sim.script(Turn(fail))
    response = raw_client.create("hi")
    assert (response.status_code, "a bug" in response.json()["detail"]) == (500, True)
    assert "a bug" in caplog.text
    assert raw_client.create("hi").status_code == 200


# Logins and clients


def test_client_is_logged_in_to_this_simulator() -> None:
    with Simulator() as sim, sim.client() as client:
        assert client.responses.create(input="Say hello").output_text == "hello"
        assert client.models.list().data[0].id == "gpt-6.2-sol"
        assert {request.path.split("/")[1] for request in sim.requests} == {"backend-api"}


def test_async_client_is_logged_in_to_this_simulator() -> None:
    async def create() -> str:
        async with sim.async_client() as client:
            return (await client.responses.create(input="Say hello")).output_text

    with Simulator() as sim:
        assert anyio.run(create) == "hello"


def test_client_options_may_replace_the_login() -> None:
    with Simulator() as sim, sim.client(model="gpt-5.5", credentials=sim.credentials()) as client:
        client.responses.create(input="hi")
        assert sim.requests[-1].json()["model"] == "gpt-5.5"


def test_expired_login_is_refreshed_by_the_simulator() -> None:
    with Simulator() as sim:
        store = MemoryStore(sim.login_document(expires_in=timedelta(minutes=-1)))
        with sim.client(credentials=Credentials(store, issuer=sim.issuer)) as client:
            assert client.responses.create(input="Say hello").output_text == "hello"
        assert [r.path for r in sim.requests] == ["/oauth/token", "/backend-api/codex/responses"]


def test_expired_login_is_rejected_by_the_backend(raw_client: Any) -> None:
    tokens = raw_client.sim.login_document(expires_in=-timedelta(minutes=1))["tokens"]
    raw_client.headers["authorization"] = f"Bearer {tokens['access_token']}"
    assert raw_client.create("hi").json()["error"]["code"] == "token_expired"


def test_codex_home_contains_the_files_of_the_cli(tmp_path: Path) -> None:
    with Simulator() as sim:
        home = sim.write_codex_home(tmp_path / "codex", model="gpt-5.5")
        sim.write_codex_home(home, model="gpt-5.5")
        config = tomllib.loads((home / "config.toml").read_text())
        assert config["model"] == "gpt-5.5"
        assert config["model_providers"][config["model_provider"]]["base_url"] == sim.base_url
        auth = home / "auth.json"
        assert stat.S_IMODE(auth.stat().st_mode) == 0o600 or os.name == "nt"
        document = json.loads(auth.read_text())
        assert document["auth_mode"] == "chatgpt"
        assert datetime.fromisoformat(document["last_refresh"]).tzinfo is not None


LOGIN = {"tokens": {"access_token": "a", "refresh_token": "r"}, "OPENAI_API_KEY": "sk-mine"}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("auth.json", json.dumps(LOGIN)),
        ("auth.json", json.dumps({"tokens": {"oauth_provenance": {"issuer": "https://auth.openai.com"}}})),
        ("auth.json", "damaged"),
        ("config.toml", "[mcp_servers.mine]\n"),
    ],
)
def test_codex_home_with_another_login_is_unchanged(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    with Simulator() as sim, pytest.raises(FileExistsError, match=f"{name} exists, and no simulator wrote it"):
        sim.write_codex_home(tmp_path)
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {name: content}


def test_fail_without_a_fault_raises() -> None:
    with pytest.raises(ValueError, match=r"fail\(\) has no faults"):
        Simulator().fail()
