"""The routes of models: `/v1/responses` and `/v1/chat/completions`.

Both run the same call: adapt the body, wait for a slot, let the client send the request, and write its events. The
state of the application has what they use.
"""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING, Any, Final

import anyio
import httpx2
import openai

from .._coerce import as_mapping
from .._json import decode
from .._streaming.streams import AsyncDataStream
from .._upstream import FinalRequestOptions
from .adaptation import adapt_body, session_of, split_model
from .api_errors import argument_error
from .bodies import read_json
from .changes import Change, changes_header
from .dialects import ChatDialect, ResponsesDialect
from .event_writer import EventWriter, HttpSink, partial_output, until_disconnected
from .json_responses import send_error, send_json
from .request_log import CLIENT_LEFT
from .server_settings import CHANGES_HEADER

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from starlette.datastructures import State
    from starlette.requests import Request
    from starlette.types import Message, Receive, Scope, Send

    from .._client import AsyncOpenAI
    from .._request.context import PreparedOptions
    from .api_errors import ApiError
    from .dialects import Data, Dialect
    from .event_writer import Sink
    from .models_route import ModelList
    from .reasoning_memory import ReasoningMemory
    from .request_log import RequestRecord
    from .server_settings import ServerSettings
    from .slots import Slots

__all__ = ["ModelCall", "ModelResponse", "chat_completions", "new_response_id", "responses"]

_MODEL_LIST_SECONDS: Final = 5.0


async def responses(request: Request) -> ModelResponse:
    """Create a response, as `POST /v1/responses` of the OpenAI API does."""
    return ModelResponse(await _read(request), request, is_chat=False)


async def chat_completions(request: Request) -> ModelResponse:
    """Create a chat completion, as `POST /v1/chat/completions` of the OpenAI API does."""
    return ModelResponse(await _read(request), request, is_chat=True)


async def _read(request: Request) -> dict[str, Any]:
    settings: ServerSettings = request.app.state.settings
    return await read_json(request, max_bytes=settings.max_body_bytes, idle_seconds=settings.receive_seconds)


def new_response_id() -> str:
    """Return an id for a response that the backend did not make."""
    return f"resp_{secrets.token_hex(16)}"


class ModelResponse:
    """The response to a model request: an ASGI application that makes the call when it is sent."""

    def __init__(self, body: dict[str, Any], request: Request, *, is_chat: bool) -> None:
        self._body = body
        self._call = ModelCall(request.app.state, request.state.record, request.headers, is_chat=is_chat)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Make the call until it ends or the client disconnects."""
        async with anyio.create_task_group() as group:

            def leave() -> None:
                self._call.record.note_end(CLIENT_LEFT)
                group.cancel_scope.cancel()

            async def send_part(message: Message) -> None:
                if message["type"] == "http.response.body" and not message.get("more_body"):
                    watcher.cancel()  # from here on, a disconnect is the normal end
                await send(message)

            watcher = anyio.CancelScope()
            group.start_soon(until_disconnected, receive, watcher, leave)
            if self._body.get("stream"):
                await self._call.stream(self._body, HttpSink(scope, send_part, self._call.headers))
            else:
                await self._send_whole(scope, send_part)
            watcher.cancel()

    async def _send_whole(self, scope: Scope, send: Send) -> None:
        try:
            final = await self._call.complete(self._body)
        except Exception as error:
            await send_error(scope, send, self._call.error_for(error), headers=self._call.headers)
        else:
            await send_json(send, final, headers=self._call.headers)


class ModelCall:
    """One call of a model for a client, over HTTP or a WebSocket. `headers` are those of the response."""

    def __init__(self, state: State, record: RequestRecord, headers: Mapping[str, str], *, is_chat: bool) -> None:
        self.record = record
        self.headers: dict[str, str] = {}
        self.output: list[Any] = []
        self._client: AsyncOpenAI = state.client
        self._settings: ServerSettings = state.settings
        self._slots: Slots = state.slots
        self._models: ModelList = state.models
        self._memory: ReasoningMemory = state.reasoning_memory
        self._error_of: Callable[[Exception], ApiError] = state.error_of
        self._session_id = session_of(headers)
        self._is_chat = is_chat
        self._owner: Hashable = None

    # What a dialect reports

    def record_model(self, name: str) -> None:
        """Record the model of the response for the log."""
        self.record.response_model = name

    def record_usage(self, input_tokens: int, cached_tokens: int, output_tokens: int) -> None:
        """Record the tokens for the log."""
        self.record.input_tokens = input_tokens
        self.record.cached_tokens = cached_tokens
        self.record.output_tokens = output_tokens

    def record_output(self, output: list[Any]) -> None:
        """Keep the reasoning for the next request."""
        self.output = output
        if self._is_chat:
            self._memory.remember_message(as_mapping(output[0]), owner=self._owner)
        else:
            self._memory.remember_items(output, owner=self._owner)

    # Calls

    async def stream(self, body: dict[str, Any], sink: Sink) -> None:
        """Make a call and send its events."""
        dialect = self._dialect(body)
        async with anyio.create_task_group() as group:

            def leave() -> None:
                self.record.note_end("client does not read")
                group.cancel_scope.cancel()

            writer = EventWriter(
                sink,
                dialect,
                commit_seconds=self._settings.commit_seconds,
                keepalive_seconds=self._settings.keepalive_seconds,
                stalled_seconds=self._settings.stalled_seconds,
                on_stalled=leave,
            )
            try:
                prepared = await self._prepared(body, dialect, stream=True)
                # All changes are known now, so the writer may send the header while the request waits.
                group.start_soon(writer.keep_alive)
                async with self._slots.take():
                    await self._send_events(prepared, writer)
                await writer.end()
            except Exception as error:
                await writer.fail(self.error_for(error), partial_output(error))
            group.cancel_scope.cancel()

    async def _send_events(self, prepared: PreparedOptions, writer: EventWriter) -> None:
        stream: AsyncDataStream = await self._client.request(object, prepared, stream=True, stream_cls=AsyncDataStream)
        try:
            async for batch in stream:
                await writer.add(batch)
        finally:
            with anyio.CancelScope(shield=True):
                await stream.close()

    async def complete(self, body: dict[str, Any]) -> Data:
        """Make a call and return the final response. Raises the exceptions of the client."""
        dialect = self._dialect(body)
        prepared = await self._prepared(body, dialect, stream=False)
        async with self._slots.take():
            response = await self._client.request(httpx2.Response, prepared)
        final: Data = decode(response.content)
        final.pop("dropped_parameters", None)
        dialect.final(final)
        return final

    def _dialect(self, body: Mapping[str, Any]) -> Dialect:
        if self._is_chat:
            shows_usage = bool(as_mapping(body.get("stream_options")).get("include_usage"))
            return ChatDialect(self, shows_usage=shows_usage)
        return ResponsesDialect(self, new_id=new_response_id)

    async def _prepared(self, body: dict[str, Any], dialect: Dialect, *, stream: bool) -> PreparedOptions:
        """Check and shape a request before it waits for a slot, so that its errors and changes are known at once."""
        adapted = await self._adapted(body)
        options = FinalRequestOptions.construct(method="post", url=dialect.path, json_data=adapted)
        try:
            prepared = await self._client._prepare_call(options, stream=stream)
        except openai.OpenAIError:
            raise
        except (TypeError, ValueError) as error:  # elsewhere, these are bugs
            raise argument_error(error) from error
        context = prepared.context
        if context.body is not None:
            self.record.response_model = context.body.members.get("model")
        self._add_changes(
            [
                Change("repaired" if name in context.repaired_parameters else "dropped", name)
                for name in context.dropped_parameters or ()
            ]
        )
        return prepared

    async def _adapted(self, body: dict[str, Any]) -> dict[str, Any]:
        models = await self._known_models(body.get("model"))
        login, name = self._client.credentials.ready(), body.get("model")
        model = split_model(name, models)[0] if isinstance(name, str) else None
        self._owner = (model, None if login is None else login.account_id)
        self.record.model = model or "(default)"
        adapted = adapt_body(
            self._recalled(body),
            is_chat=self._is_chat,
            models=models,
            session_id=self._session_id,
            shows_reasoning=self._settings.shows_reasoning,
            drops=self._settings.unsupported == "drop",
        )
        self._add_changes(adapted.changes)
        request = {name: value for name, value in adapted.body.items() if name != "stream"}
        if self._is_chat and body.get("stream") and not request.get("stop"):
            request["stream_options"] = {**as_mapping(request.get("stream_options")), "include_usage": True}
        return request

    def _recalled(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the body with the reasoning that the client did not send back."""
        if isinstance(body.get("input"), list):
            return {**body, "input": self._memory.complete_items(body["input"], owner=self._owner)}
        if self._is_chat and isinstance(body.get("messages"), list):
            return {**body, "messages": self._memory.complete_messages(body["messages"], owner=self._owner)}
        return body

    async def _known_models(self, name: Any) -> Sequence[Mapping[str, Any]]:
        """Return the models of the account. They are requested if none is known, or if this one is not among them."""
        models = self._models.last
        if models is None or not any(model["id"] == name for model in models):
            # Without a list the request is sent as it is, and its own error says what is wrong.
            with anyio.move_on_after(_MODEL_LIST_SECONDS), contextlib.suppress(openai.OpenAIError):
                models = await self._models.get()
        return models or ()

    def _add_changes(self, changes: Sequence[Change]) -> None:
        if changes:
            self.record.changes = [*dict.fromkeys([*self.record.changes, *changes])]
            self.headers[CHANGES_HEADER] = changes_header(self.record.changes)

    def error_for(self, error: Exception) -> ApiError:
        """Return the error response for an exception, and record it."""
        api_error = self._error_of(error)
        self.record.note_error(api_error)
        return api_error
