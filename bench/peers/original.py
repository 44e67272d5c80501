"""The original codex-backend-sdk 0.x. The URL of its backend is a constant, and its types are its own."""

from __future__ import annotations

import io
from importlib import import_module
from typing import TYPE_CHECKING, Any

from bench.fake_login import access_token
from bench.peers.agents import SETTINGS, Turn, read_turn

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Original020", "Original059"]

_UNUSED_URL = "http://127.0.0.1:9"


class _Original:
    is_untyped = False
    _module_name: str

    def __init__(self) -> None:
        self._module: Any = import_module(self._module_name)
        for constant in ("BASE_URL", "WHAM_BASE_URL"):
            setattr(self._module, constant, _UNUSED_URL)
        store = import_module("codex_backend_sdk.storage").TokenStore
        token = access_token()
        self._store = store.from_exchange(access_token=token, refresh_token="none", id_token=token)

    def client(self, base_url: str) -> Any:
        client = self._module.CodexClient(store=self._store)
        client.bench_url = base_url
        return client

    def mock_client(self, compress: bool = True) -> Any:
        client = self.client(_UNUSED_URL)
        client._session.mount("http://", _mock_adapter())
        return client

    def events(self, client: Any, params: dict[str, Any]) -> Iterator[Any]:
        self._module.BASE_URL = client.bench_url
        return iter(client.responses.create(stream=True, **params))

    def collected_text(self, client: Any, params: dict[str, Any]) -> str:
        self._module.BASE_URL = client.bench_url
        text: str = client.responses.create(**params).output_text
        return text

    def agents(self, base_url: str, way: str, count: int = 1) -> list[Any]:
        """Return agents that send their whole history with each request."""
        return [_Agent(self, self.client(base_url)) for _ in range(count)]


class _Agent:
    def __init__(self, peer: _Original, client: Any) -> None:
        self._peer, self._client = peer, client
        self._history: list[dict[str, Any]] = []

    def turn(self, items: list[dict[str, Any]]) -> Turn:
        self._history += items
        return read_turn(self._with_output(self._peer.events(self._client, {**SETTINGS, "input": self._history})))

    def _with_output(self, events: Iterator[Any]) -> Iterator[Any]:
        for event in events:
            if event.type == "response.output_item.done":
                self._history.append(event.item)
            yield event

    def close(self) -> None:
        self._client._session.close()


class Original020(_Original):
    """Version 0.2.0."""

    _module_name = "codex_backend_sdk.codex_client"


class Original059(_Original):
    """Version 0.5.9."""

    _module_name = "codex_backend_sdk._client"


def _mock_adapter() -> Any:
    """Return an adapter for `requests` that responds as soon as a request is ready to be written."""
    requests = import_module("requests")

    class Adapter(requests.adapters.BaseAdapter):  # type: ignore[misc,name-defined]
        def send(self, request: Any, **_options: Any) -> Any:
            response = requests.Response()
            response.status_code, response.request, response.url = 200, request, request.url
            response.raw = io.BytesIO()
            return response

        def close(self) -> None:
            return

    return Adapter()
