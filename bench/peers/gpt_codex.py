"""gpt-codex-client, an independent client that can use the WebSocket of the backend."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.peers.agents import SETTINGS, Turn, TurnReader

__all__ = ["GptCodexClient"]


class GptCodexClient:
    """gpt-codex-client with the login file of the run. Its agents send only new items, over its WebSocket."""

    is_untyped = True

    def __init__(self) -> None:
        self._module = import_module("gpt_codex_client")

    def client(self, base_url: str) -> Any:
        token_path = Path(os.environ["CODEX_HOME"]) / "auth.json"
        return self._module.CodexClient(base_url=base_url, token_path=token_path, no_browser=True)

    def agents(self, base_url: str, way: str, count: int = 1) -> list[Any]:
        client = self.client(base_url)
        return [_Agent(client, f"session-{number}") for number in range(count)]


class _Agent:
    def __init__(self, client: Any, session_id: str) -> None:
        self._client, self._session_id = client, session_id
        self._history: list[Any] = []

    def turn(self, items: list[dict[str, Any]]) -> Turn:
        self._history += items
        reader = TurnReader(is_untyped=True)
        stream = self._client.responses.create(
            input=self._history, session_id=self._session_id, transport="websocket", stream=True, **SETTINGS
        )
        with stream:
            for event in stream:
                reader.read(event.data)
        self._history += stream.get_final_response().output
        return reader.turn

    def close(self) -> None:
        self._client.close()
