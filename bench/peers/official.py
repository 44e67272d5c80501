"""The official client and the ones with its interface: this package and login-with-chatgpt."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from bench.fake_login import ACCOUNT_ID, access_token, login_document
from bench.peers.agents import SETTINGS, Turn, TurnReader, read_turn, read_turn_async
from bench.workloads import user_message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

__all__ = ["LoginWithChatGPT", "Official", "Ours"]

# The most requests of a batch at once.
CONCURRENCY = 16
MOCK_URL = "http://127.0.0.1:9/backend-api/codex"
EMPTY_STREAM = b'event: response.created\ndata: {"type":"response.created","sequence_number":0,"response":{}}\n\n'


def mock_transport(httpx: Any) -> Any:
    """Return a transport that responds as soon as a request is ready to be written."""

    def respond(_request: Any) -> Any:
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=EMPTY_STREAM)

    return httpx.MockTransport(respond)


class Official:
    """`openai`, with an API key and another base URL."""

    is_untyped = False
    _uncompressed: ClassVar[dict[str, Any]] = {}

    def __init__(self) -> None:
        self._openai = import_module("openai")
        self._options: dict[str, Any] = {"api_key": "none"}

    def client(self, base_url: str) -> Any:
        return self._openai.OpenAI(base_url=base_url, **self._options)

    def mock_client(self, compress: bool = True) -> Any:
        httpx = import_module("httpx2")
        options = {**self._options, "http_client": httpx.Client(transport=mock_transport(httpx))}
        if not compress:
            options |= self._uncompressed
        return self._openai.OpenAI(base_url=MOCK_URL, **options)

    def async_client(self, base_url: str) -> Any:
        return self._openai.AsyncOpenAI(base_url=base_url, **self._options)

    def events(self, client: Any, params: dict[str, Any]) -> Iterator[Any]:
        return iter(client.responses.create(stream=True, **params))

    async def async_events(self, client: Any, params: dict[str, Any]) -> AsyncIterator[Any]:
        return aiter(await client.responses.create(stream=True, **params))

    def chat_chunks(self, client: Any, params: dict[str, Any]) -> Iterator[Any]:
        return iter(client.chat.completions.create(stream=True, **params))

    def helper_events(self, client: Any, params: dict[str, Any]) -> Iterator[Any]:
        with client.responses.stream(**params) as stream:
            yield from stream
            stream.get_final_response()

    def collected_text(self, client: Any, params: dict[str, Any]) -> str:
        text: str = client.responses.create(**params).output_text
        return text

    def websocket_events(self, client: Any, params: dict[str, Any]) -> Iterator[Any]:
        with client.responses.connect() as connection:
            connection.response.create(stream=True, **params)
            for event in connection:
                yield event
                if event.type == "response.completed":
                    return

    def agents(self, base_url: str, way: str, count: int = 1) -> list[Any]:
        """Return agents on the WebSocket of `responses.connect()`, which leaves the history to the program."""
        client = self.client(base_url)
        return [_ConnectedAgent(client) for _ in range(count)]

    async def async_agents(self, base_url: str, way: str, count: int = 1) -> list[Any]:
        client = self.async_client(base_url)
        return [_AsyncConnectedAgent(client) for _ in range(count)]

    async def async_batch(self, client: Any, prompts: list[str], params: dict[str, Any], journal: Path | None) -> int:
        """Send the prompts as programs do without a batch: `asyncio.gather`, with a semaphore."""
        slots = asyncio.Semaphore(CONCURRENCY)

        async def send(prompt: str) -> str:
            async with slots:
                events = await self.async_events(client, {**params, "input": user_message(prompt)})
                return "".join([event.delta async for event in events if event.type == "response.output_text.delta"])

        return sum(map(len, await asyncio.gather(*map(send, prompts))))


class _ConnectedAgent:
    def __init__(self, client: Any) -> None:
        self._connection = client.responses.connect().enter()
        self._previous: dict[str, Any] = {}

    def turn(self, items: list[dict[str, Any]]) -> Turn:
        self._connection.response.create(input=items, store=False, stream=True, **SETTINGS, **self._previous)
        reader = TurnReader()
        while not reader.is_complete:
            reader.read(self._connection.recv())
        self._previous = {"previous_response_id": reader.turn.response_id}
        return reader.turn

    def close(self) -> None:
        self._connection.close()


class _AsyncConnectedAgent:
    def __init__(self, client: Any) -> None:
        self._client = client
        self._connection: Any = None
        self._previous: dict[str, Any] = {}

    async def turn(self, items: list[dict[str, Any]]) -> Turn:
        if self._connection is None:
            self._connection = await self._client.responses.connect().enter()
        await self._connection.response.create(input=items, store=False, stream=True, **SETTINGS, **self._previous)
        reader = TurnReader()
        while not reader.is_complete:
            reader.read(await self._connection.recv())
        self._previous = {"previous_response_id": reader.turn.response_id}
        return reader.turn

    async def close(self) -> None:
        await self._connection.close()


class Ours(Official):
    """This package, from the working tree."""

    _uncompressed: ClassVar = {"compress_requests": False}

    def __init__(self) -> None:
        self._openai = import_module("codex_backend_sdk")
        self._options = {"credentials": import_module("codex_backend_sdk.auth").MemoryStore(login_document())}
        assert self._openai.OpenAI  # the attribute imports the client on first use

    def websocket_events(self, client: Any, params: dict[str, Any]) -> Iterator[Any]:
        return self.events(client.with_options(transport="websocket"), params)

    def batch(self, client: Any, prompts: list[str], params: dict[str, Any], journal: Path | None) -> int:
        batch = client.codex.batch(prompts, concurrency=CONCURRENCY, journal=journal, **params)
        return sum(len(result.output_text) for result in batch)

    async def async_batch(self, client: Any, prompts: list[str], params: dict[str, Any], journal: Path | None) -> int:
        batch = client.codex.batch(prompts, concurrency=CONCURRENCY, journal=journal, **params)
        return sum([len(result.output_text) async for result in batch])

    def conversation_events(self, client: Any, params: dict[str, Any]) -> Iterator[Any]:
        settings = {name: value for name, value in params.items() if name != "input"}
        conversation = client.codex.conversation(transport="websocket", **settings)
        return iter(conversation.stream(params["input"]))

    def agents(self, base_url: str, way: str, count: int = 1) -> list[Any]:
        """Return conversations. `way` is the transport; over HTTP, `uncompressed` and `zstd` select the compression."""
        client = self.client(base_url).with_options(**_OPTIONS_BY_WAY[way])
        return [_Conversation(client) for _ in range(count)]

    async def async_agents(self, base_url: str, way: str, count: int = 1) -> list[Any]:
        client = self.async_client(base_url).with_options(**_OPTIONS_BY_WAY[way])
        return [_AsyncConversation(client) for _ in range(count)]


_OPTIONS_BY_WAY: dict[str, dict[str, Any]] = {
    "websocket": {"transport": "websocket"},
    "uncompressed": {"transport": "http", "compress_requests": False},
    "zstd": {"transport": "http"},
}


class _Conversation:
    def __init__(self, client: Any) -> None:
        self._client = client
        self.conversation = client.codex.conversation(**SETTINGS)

    def turn(self, items: list[dict[str, Any]]) -> Turn:
        return read_turn(self.conversation.stream(items))

    def close(self) -> None:
        self.conversation.close()
        self._client.close()


class _AsyncConversation:
    def __init__(self, client: Any) -> None:
        self._client = client
        self.conversation = client.codex.conversation(**SETTINGS)

    async def turn(self, items: list[dict[str, Any]]) -> Turn:
        return await read_turn_async(aiter(self.conversation.stream(items)))

    async def close(self) -> None:
        await self.conversation.close()
        await self._client.close()


class LoginWithChatGPT(Official):
    """login-with-chatgpt, with a store in memory. It adapts an openai 2 client at its transport."""

    def __init__(self) -> None:
        self._package = import_module("login_with_chatgpt")
        store = import_module("login_with_chatgpt.auth.store").MemoryTokenStore()
        tokens = import_module("login_with_chatgpt.auth.models").TokenSet
        store.save("default", tokens(access_token=access_token(), refresh_token="none", account_id=ACCOUNT_ID))
        self._store = store
        self._config = import_module("login_with_chatgpt._config").ProtocolConfig

    def client(self, base_url: str) -> Any:
        return self._account(base_url).openai()

    def mock_client(self, compress: bool = True) -> Any:
        return self._account(MOCK_URL).openai(transport=mock_transport(import_module("httpx")))

    def async_client(self, base_url: str) -> Any:
        return self._account(base_url).async_openai()

    def _account(self, base_url: str) -> Any:
        config = self._config(codex_base_url=base_url, issuer="http://127.0.0.1:9")
        return self._package.ChatGPTAccount("default", store=self._store, config=config)
