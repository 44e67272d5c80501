"""No token, code or prompt is seen in a traceback with its variables, in a debug log or in a pickle."""

from __future__ import annotations

import logging
import pickle
import socket
import threading
import traceback
from typing import TYPE_CHECKING, Any

import pytest
from issuer_stub import IssuerStub

import codex_backend_sdk as sdk
from codex_backend_sdk.auth import AccessToken, Credentials, MemoryStore, Secret, exchange_api_key
from codex_backend_sdk.testing import Simulator, Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def issuer() -> Iterator[IssuerStub]:
    with IssuerStub() as stub:
        yield stub


@pytest.fixture
def nowhere() -> str:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        return f"http://127.0.0.1:{closed.getsockname()[1]}"


@pytest.fixture
def cutting() -> Iterator[str]:
    """A server that reads what is sent and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection = server.accept()[0]
                except OSError:
                    return
                with connection:
                    connection.recv(1)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def whole_story(error: BaseException) -> str:
    """All that a crash reporter could send: each frame of each error of the chain, with its variables.

    Only this file's own are left out, which know the tokens.
    """
    told: list[str] = []
    waiting, seen = [error], set[int]()
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        frames = traceback.TracebackException.from_exception(each, capture_locals=True).stack
        told += [f"{frame.filename}:{frame.lineno} {frame.locals}" for frame in frames if frame.filename != __file__]
        told += [repr(each), str(each), repr(vars(each))]
        waiting += [linked for linked in (each.__cause__, each.__context__) if linked is not None]
    return "\n".join(told)


def failing(document: dict[str, Any], url: str) -> dict[str, Callable[[], object]]:
    """Everything that speaks to an issuer."""
    expired = {**document, "tokens": {**document["tokens"], "access_token": "opaque"}, "last_refresh": None}
    loaded = Credentials(MemoryStore(document), issuer=url)
    return {
        "refresh": lambda: loaded.renew(loaded.current()),
        "refresh ahead": lambda: Credentials(MemoryStore(expired), issuer=url).current(),
        "api key": lambda: exchange_api_key(Credentials(MemoryStore(document), issuer=url)),
        "device code": lambda: Credentials(MemoryStore(), issuer=url).authenticate_device_code(),
        "whoami": lambda: AccessToken("at-SECRET-0123456789", issuer=url).current(),
        "revoke": lambda: Credentials(MemoryStore(document), issuer=url).revoke(),
    }


@pytest.mark.parametrize("what", failing({"tokens": {}}, "http://127.0.0.1:9"))
@pytest.mark.parametrize("how", ["nowhere", "cut", "refused", "redirected", "of no use"])
def test_an_issuer_that_fails_is_told_of_without_what_was_said_to_it(
    what: str, how: str, issuer: IssuerStub, nowhere: str, cutting: str, caplog: pytest.LogCaptureFixture
) -> None:
    document = issuer.document()
    document["tokens"]["refresh_token"] = "rt_SECRET_0123456789"
    secrets = [document["tokens"][name] for name in ("id_token", "access_token", "refresh_token")]
    issuer.refusal = {
        "refused": (400, b'{"error": {"code": "access_denied", "message": "no"}}', {}),
        "redirected": (307, b"", {"Location": nowhere}),
        "of no use": (200, b'{"id_token": "SECRET_id", "access_token": 5}', {}),
    }.get(how)
    url = {"nowhere": nowhere, "cut": cutting}.get(how, issuer.url)
    story = ""
    with caplog.at_level(logging.DEBUG):
        try:
            failing(document, url)[what]()
        except (sdk.CodexError, OSError) as error:
            story = whole_story(error)
    for secret in [*secrets, "SECRET"]:
        assert secret not in story
        assert secret not in caplog.text


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("how", ["good", "refused", "cut", "nowhere", "server error"])
def test_a_call_shows_no_token_whatever_becomes_of_it(
    asynchronous: bool, how: str, nowhere: str, cutting: str, caplog: pytest.LogCaptureFixture
) -> None:
    import anyio

    story = ""
    with Simulator() as sim, caplog.at_level(logging.DEBUG):
        document = sim.login_document()
        turns = {"refused": Turn.error(401, {}), "server error": Turn.error(500, {})}
        if how in turns:
            sim.script(*[turns[how]] * 2)
        base_url = {"cut": cutting, "nowhere": nowhere}.get(how, sim.url) + "/backend-api/codex"
        options: dict[str, Any] = {"base_url": base_url, "max_retries": 0, "credentials": MemoryStore(document)}

        async def call() -> None:
            async with sim.async_client(**options) as client:
                await client.responses.create(input="hi")

        try:
            if asynchronous:
                anyio.run(call)
            else:
                with sim.client(**options) as client:
                    client.responses.create(input="hi")
        except sdk.CodexError as error:  # pragma: no cover  (none of these is one of ours)
            raise AssertionError from error
        except Exception as error:
            story = whole_story(error)
        assert bool(story) == (how != "good")
        renewed = [request.headers.get("authorization", "")[7:] for request in sim.requests]
    # What is shown of a token that is in no frame as text is its end at most.
    for secret in [*(document["tokens"][name] for name in ("id_token", "access_token", "refresh_token")), *renewed]:
        if secret:
            assert secret not in story
            assert secret not in caplog.text


def test_a_secret_is_shown_by_its_end_at_most_and_is_never_pickled() -> None:
    secret = Secret("rt_0123456789abcdefWXYZ")
    for text in (repr(secret), str(secret), f"{secret}", repr({"token": secret}), f"{[secret]}"):
        assert "WXYZ" in text
        assert "cdef" not in text
    assert "key" not in repr(Secret("short-key"))
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(secret)
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(sdk.Login(access_token=secret, account_id=None))
