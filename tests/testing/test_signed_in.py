"""The package's own clients, signed in by the simulator: the login, the sync and the async client."""

from __future__ import annotations

from datetime import timedelta

import anyio

from codex_backend_sdk.testing import Simulator


def test_the_client_is_signed_in_and_talks_to_this_simulator() -> None:
    with Simulator() as sim, sim.client() as client:
        assert client.responses.create(input="Say hello").output_text == "hello"
        assert client.models.list().data[0].id == "gpt-6.1-sol"
        assert {request.path.split("/")[1] for request in sim.requests} == {"backend-api"}


def test_so_is_the_async_client() -> None:
    async def ask() -> str:
        async with sim.async_client() as client:
            return (await client.responses.create(input="Say hello")).output_text

    with Simulator() as sim:
        assert anyio.run(ask) == "hello"


def test_options_reach_the_client_and_may_replace_the_login() -> None:
    with Simulator() as sim, sim.client(model="gpt-5.5", credentials=sim.credentials()) as client:
        client.responses.create(input="hi")
        assert sim.requests[-1].json()["model"] == "gpt-5.5"


def test_the_login_is_renewed_here_when_it_has_expired() -> None:
    from codex_backend_sdk.auth import Credentials, MemoryStore

    with Simulator() as sim:
        store = MemoryStore(sim.login_document(expires_in=timedelta(minutes=-1)))
        with sim.client(credentials=Credentials(store, issuer=sim.issuer)) as client:
            assert client.responses.create(input="Say hello").output_text == "hello"
        assert [r.path for r in sim.requests] == ["/oauth/token", "/backend-api/codex/responses"]
