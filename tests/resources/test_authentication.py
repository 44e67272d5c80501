"""Test the signatures and the argument checks of the login methods."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest

import codex_backend_sdk as sdk
from codex_backend_sdk.auth import Credentials, MemoryStore
from codex_backend_sdk.resources.authentication import AsyncAuthentication, Authentication

if TYPE_CHECKING:
    from collections.abc import Callable

    from codex_backend_sdk.testing import Simulator

METHODS = ("authenticate", "authenticate_device_code")


@pytest.mark.parametrize("mixin", [Authentication, AsyncAuthentication])
@pytest.mark.parametrize("method", METHODS)
def test_client_signature_equals_the_one_of_credentials(mixin: type, method: str) -> None:
    parameters = inspect.signature(getattr(mixin, method)).parameters
    assert parameters == inspect.signature(getattr(Credentials, method)).parameters


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("timeout", ["x", True, [5]])
def test_timeout_of_a_wrong_type_raises_type_error(
    new_client: Callable[..., Any], sim: Simulator, method: str, timeout: Any
) -> None:
    client = new_client(credentials=MemoryStore())
    with pytest.raises(TypeError, match=r"must be a number of seconds"):
        getattr(client, method)(timeout=timeout)
    assert sim.requests == []


@pytest.mark.parametrize("method", METHODS)
def test_unknown_argument_raises_type_error(client: Any, method: str) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'forse'"):
        getattr(client, method)(forse=True)


def test_interrupted_login_shows_no_internal_steps(sim: Simulator) -> None:
    def interrupt(url: str) -> None:
        raise KeyboardInterrupt

    with sdk.OpenAI(credentials=MemoryStore(), issuer=sim.issuer, base_url=sim.base_url) as client:
        with pytest.raises(KeyboardInterrupt) as caught:
            client.authenticate(open_browser=False, on_url=interrupt, ports=(0,))
        assert [entry.name for entry in caught.traceback][1:] == ["authenticate"]
        assert caught.value.__suppress_context__
