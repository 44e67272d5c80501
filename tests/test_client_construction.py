"""Test the arguments, the copies and the public methods of both_clients clients."""

from __future__ import annotations

import copy
import inspect
import json
import math
import pickle
import re
from datetime import timedelta
from typing import Any

import anyio
import httpx2
import openai
import pytest

import codex_backend_sdk as sdk
from codex_backend_sdk.auth import MemoryStore
from codex_backend_sdk.testing import Simulator

CLASSES = [(sdk.OpenAI, openai.OpenAI, httpx2.Client), (sdk.AsyncOpenAI, openai.AsyncOpenAI, httpx2.AsyncClient)]
both_clients = pytest.mark.parametrize(("client_class", "official_class", "http_class"), CLASSES, ids=["sync", "async"])


@both_clients
def test_client_is_the_official_client(client_class: Any, official_class: Any, http_class: Any) -> None:
    client = client_class(credentials=MemoryStore())
    assert isinstance(client, official_class)
    assert str(client.base_url) == "https://chatgpt.com/backend-api/codex/"


@both_clients
def test_every_official_argument_is_accepted(client_class: Any, official_class: Any, http_class: Any) -> None:
    http_client = http_class()
    arguments: dict[str, Any] = {
        "api_key": "sk-mine",
        "admin_api_key": "sk-admin",
        "organization": "org",
        "project": "proj",
        "webhook_secret": "whsec",
        "base_url": "https://example.com/backend-api/codex",
        "websocket_base_url": "wss://example.com",
        "timeout": 5.0,
        "max_retries": 7,
        "default_headers": {"x-a": "b"},
        "default_query": {"c": "d"},
        "http_client": http_client,
        "_strict_response_validation": True,
    }
    replaced = {"provider", "workload_identity", "data_residency", "_enforce_credentials"}
    known = {name for name in inspect.signature(official_class.__init__).parameters if name != "self"}
    assert known <= {*arguments, *replaced}
    client = client_class(
        credentials=MemoryStore(), **{name: value for name, value in arguments.items() if name in known}
    )
    assert (client.api_key, client.timeout, client.max_retries) == ("sk-mine", 5.0, 7)
    assert client.organization == "org"
    assert client.default_headers["x-a"] == "b"
    assert client._client is http_client


@both_clients
@pytest.mark.parametrize("name", ["provider", "workload_identity", "data_residency"])
def test_other_authentication_is_rejected(client_class: Any, official_class: Any, http_class: Any, name: str) -> None:
    if name in inspect.signature(official_class.__init__).parameters:
        with pytest.raises(ValueError, match=f"`{name}` cannot be used with this client"):
            client_class(**{name: "us"})


@both_clients
def test_base_url_comes_from_the_environment(
    client_class: Any, official_class: Any, http_class: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODEX_BASE_URL", "http://127.0.0.1:9/backend-api/codex")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://wrong.invalid")
    assert str(client_class(credentials=MemoryStore()).base_url) == "http://127.0.0.1:9/backend-api/codex/"


@both_clients
@pytest.mark.parametrize("url", ["http://example.com/codex", "ftp://127.0.0.1/"])
def test_plain_http_is_rejected(client_class: Any, official_class: Any, http_class: Any, url: str) -> None:
    with pytest.raises(ValueError, match="https"):
        client_class(credentials=MemoryStore(), base_url=url)


def test_plain_http_is_rejected_when_assigned(sim: Simulator) -> None:
    with sim.client() as client:
        client.base_url = "http://example.com/codex"
        with pytest.raises(ValueError, match="https"):
            client.responses.create(input="hi")


@both_clients
def test_unknown_policy_is_rejected(client_class: Any, official_class: Any, http_class: Any) -> None:
    with pytest.raises(ValueError, match="'raise' or 'drop', not 'warn'"):
        client_class(unsupported="warn")


@both_clients
@pytest.mark.parametrize(
    "name",
    ["connect_timeout", "first_byte_timeout", "idle_timeout", "total_timeout", "retry_deadline", "max_retry_after"],
)
@pytest.mark.parametrize("value", ["5", True, timedelta(seconds=5), -1, math.nan, -math.inf, 1e18])
def test_invalid_timeout_is_rejected(
    client_class: Any, official_class: Any, http_class: Any, name: str, value: Any
) -> None:
    client = client_class(credentials=MemoryStore(), **{name: math.inf}).with_options(**{name: 0})
    for make in (client_class, client.with_options):
        with pytest.raises(
            (TypeError, ValueError), match=f"`{name}` must be .*seconds.*not " + re.escape(repr(value)) + ".*`math.inf`"
        ):
            make(credentials=MemoryStore(), **{name: value})


@both_clients
def test_invalid_wait_for_limit_is_rejected(client_class: Any, official_class: Any, http_class: Any) -> None:
    for make in (client_class, client_class(credentials=MemoryStore()).with_options):
        with pytest.raises(TypeError, match=r"`wait_for_limit` must be a timedelta, such as .*, not 5"):
            make(wait_for_limit=5)
        with pytest.raises(TypeError, match="`on_limits` must be a synchronous function"):
            make(on_limits=5)


@both_clients
def test_invalid_credentials_are_rejected(client_class: Any, official_class: Any, http_class: Any) -> None:
    with pytest.raises(TypeError, match="CredentialSource"):
        client_class(credentials="token")


@both_clients
@pytest.mark.parametrize("method", ["copy", "with_options"])
def test_copy_keeps_the_options(client_class: Any, official_class: Any, http_class: Any, method: str) -> None:
    client = client_class(
        credentials=MemoryStore(), model="m", instructions="i", originator="o", unsupported="drop", timeout=3.0
    )
    copy = getattr(client, method)(max_retries=9)
    assert type(copy) is client_class
    assert copy._codex == client._codex
    assert copy.credentials is client.credentials
    assert copy._client is client._client
    assert (copy.max_retries, copy.timeout, copy.base_url) == (9, 3.0, client.base_url)
    changed = getattr(client, method)(model="n", instructions="", originator="p", unsupported="raise")
    assert (changed._codex.model, changed._codex.instructions) == ("n", "")
    assert (changed._codex.originator, changed._codex.unsupported) == ("p", "raise")
    unchanged = getattr(client, method)(model="", originator="")
    assert (unchanged._codex.model, unchanged._codex.originator) == ("m", "o")
    other = MemoryStore()
    assert getattr(client, method)(credentials=other).credentials.store is other


def test_clients_are_context_managers(sim: Simulator) -> None:
    with sim.client() as client:
        assert not client.is_closed()
    assert client.is_closed()

    async def run() -> None:
        async with sim.async_client() as client:
            assert (await client.responses.create(input="hi")).status == "completed"
        assert client.is_closed()

    anyio.run(run)


def test_originator_is_made_header_safe(sim: Simulator) -> None:
    with sim.client(originator="mön\napp") as client:
        assert client.user_agent.startswith("m_n_app codex-backend-sdk/")
        assert client.responses.create(input="hi").status == "completed"


def test_strict_validation_is_accepted(sim: Simulator) -> None:
    with sim.client(_strict_response_validation=True) as client:
        assert client.responses.create(input="hi").status == "completed"


PUBLIC_RESOURCES = ["", "responses", "models", "codex"]


@pytest.mark.parametrize("path", PUBLIC_RESOURCES)
def test_sync_and_async_agree(path: str) -> None:
    """Both clients have the same public names and parameters. openai orders some parameters differently."""

    def public_names(client: Any) -> dict[str, list[str]]:
        target = getattr(client, path) if path else client
        names = [name for name in dir(target) if not name.startswith("_") and name != "custom_auth"]
        return {name: parameters(target, name) for name in names}

    def parameters(target: Any, name: str) -> list[str]:
        member = inspect.getattr_static(type(target), name, None)
        return sorted(inspect.signature(member).parameters) if inspect.isfunction(member) else []

    assert public_names(sdk.OpenAI(credentials=MemoryStore())) == public_names(
        sdk.AsyncOpenAI(credentials=MemoryStore())
    )


@both_clients
def test_misspelled_argument_gets_a_hint(client_class: Any, official_class: Any, http_class: Any) -> None:
    for make in (client_class, client_class(credentials=MemoryStore()).with_options):
        with pytest.raises(TypeError, match=r"'on_limit'\. Did you mean `on_limits`\?"):
            make(on_limit=print)
        with pytest.raises(TypeError, match=r"'max_retry'\. Did you mean `max_retries`\?"):
            make(max_retry=1)


@both_clients
def test_invalid_official_timeout_is_rejected(client_class: Any, official_class: Any, http_class: Any) -> None:
    client = client_class(credentials=MemoryStore(), timeout=httpx2.Timeout(5))
    for make in (client_class, client.with_options):
        make(credentials=MemoryStore(), timeout=None)
        for value in ("5", True, timedelta(seconds=5)):
            with pytest.raises(
                TypeError, match=r"`timeout` must be a number of seconds, .*not " + re.escape(repr(value))
            ):
                make(credentials=MemoryStore(), timeout=value)


@both_clients
def test_unsafe_url_error_names_its_setting(
    client_class: Any, official_class: Any, http_class: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match=r"base_url is 'https://api.openai.com/v1'.* Remove base_url"):
        client_class(credentials=MemoryStore(), base_url="https://api.openai.com/v1")
    monkeypatch.setenv("CODEX_BASE_URL", "http://example.com")
    with pytest.raises(ValueError, match=r"^CODEX_BASE_URL must be an https URL.* Received: 'http://example.com'\.$"):
        client_class(credentials=MemoryStore())


@both_clients
@pytest.mark.parametrize("key", [None, "sk-mine"])
def test_unused_api_key_is_reported(client_class: Any, official_class: Any, http_class: Any, key: str | None) -> None:
    async def call() -> None:
        response = client.responses.create(input="hi")
        await response if inspect.isawaitable(response) else None

    client = client_class(credentials=MemoryStore(), api_key=key)
    for _ in range(2):
        with pytest.raises(sdk.LoginRequiredError) as caught:
            anyio.run(call)
        assert str(caught.value).count("`api_key` argument is not used") == (key is not None)


@both_clients
def test_client_cannot_be_pickled_or_deep_copied(client_class: Any, official_class: Any, http_class: Any) -> None:
    client = client_class(credentials=MemoryStore(), model="gpt-5.5")
    for make in (copy.deepcopy, pickle.dumps, lambda it: pickle.dumps({"client": it}, protocol=2)):
        with pytest.raises(TypeError, match=r"open connections .* `with_options\(\)` .* a client in each process"):
            make(client)
    assert copy.copy(client).credentials is client.credentials


def test_attributes_of_a_client_hold_no_plain_token() -> None:
    with Simulator() as sim, sim.client() as client:
        client.responses.create(input="hi")
        token = client.credentials.current().access_token.reveal()
        assert client._signer._cached.login is not None
        for holder in (client, client._signer):
            assert token not in json.dumps(vars(holder), default=repr, skipkeys=True)
            assert token not in repr(vars(holder))
        request = client._signer.sign(httpx2.Request("GET", "http://test/"), client.credentials.current())
        assert request.headers["authorization"] == f"Bearer {token}"
