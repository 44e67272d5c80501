"""Conversations: a history that the client keeps, and the calls that continue it.

`Conversation` and `AsyncConversation` do the I/O of `turn.Turn`: they request responses and write records. Everything
without I/O is in `_BaseConversation`, `state` and `turn`.
"""

from __future__ import annotations

import contextlib
import inspect
import threading
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, wait
from copy import deepcopy
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypedDict, TypeVar
from weakref import WeakSet

import anyio
import anyio.to_thread
import openai

from .. import history
from .._exceptions import ConversationError, StreamInterruptedError
from .._json import encode
from .._options import require_callback
from .._request.context import context_of_response
from .._request.input_items import shape_input
from .._request.output_parsing import parse_output
from .._request.prompt_cache import TurnState
from .._request.request_body import PreparedInput
from .._request.shaping import to_json_data
from .._threads import create_lock, run_into, start_in_thread
from .._upstream import parse_response, type_to_text_format_param
from .._websocket.transport import sent_message_of
from ..tools.execution import check_sync
from ..tools.function_tool import ToolSet
from ..tools.run_loop import DEFAULT_MAX_REPEATS, DEFAULT_MAX_TURNS
from .compaction import trim
from .conversation_file import ConversationFile
from .event_stream import AsyncConversationStream, ConversationStream, Outcome
from .tool_runs import AsyncRunStream, RunOptions, definitions_of, plan_run, run_steps
from .turn import CallerLeft, Commit, CompactionEvent, Exchange, NeedAccount, NeedCatalog, Turn, TurnOptions

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Sequence
    from pathlib import Path
    from typing import Literal, Self, Unpack

    import httpx2
    from openai._types import Body, Headers, Query
    from openai.types.responses import ParsedResponse, Response

    from .._options import Transport
    from ..tools.execution import OnCall
    from ..tools.function_tool import ToolLike
    from .state import ConversationState, ConversationUsage, Item, Record
    from .tool_runs import RunPlan
    from .turn import Step

    class ConversationParameters(TypedDict, total=False):
        """openai's parameters of `responses.create` for all calls of a conversation."""

        include: list[Any]
        parallel_tool_calls: bool
        prompt_cache_key: str
        reasoning: Mapping[str, Any]
        service_tier: str
        text: Mapping[str, Any]
        tool_choice: Any
        extra_headers: Headers | None
        extra_query: Query | None
        extra_body: Body | None
        timeout: float | httpx2.Timeout | None

    class RunArguments(ConversationParameters, total=False):
        """The options of `Conversation.run`."""

        tools: Iterable[ToolLike] | ToolSet | None
        max_turns: int
        max_repeats: int | None
        parallel: bool
        on_call: OnCall | None
        on_call_timeout: float | None
        on_error: Literal["return", "raise"]

    class ConversationOptions(ConversationParameters, total=False):
        """The arguments of `client.codex.conversation` other than the path."""

        model: str | None
        instructions: str | None
        tools: Iterable[Any] | None
        effort: str | None
        verbosity: str | None
        auto_compact: bool | int
        keep_partial: bool
        repair: bool
        on_compaction: Callable[[CompactionEvent], object] | None
        transport: Transport | None


__all__ = ["AsyncConversation", "Conversation", "new_conversation"]

_FormatT = TypeVar("_FormatT")

# Parameters that are not saved: they may contain secrets, or are no JSON.
_CALL_OPTIONS: Final = ("extra_headers", "extra_query", "extra_body", "timeout")
# Parameters of `create` that a conversation sets itself.
_OWN_PARAMETERS: Final = {
    "input": "Pass it to `send()`, `stream()` or `append()`.",
    "stream": "Call `stream()` instead of `send()`.",
    "model": "Assign `conversation.model`.",
    "instructions": "Assign `conversation.instructions`.",
    "tools": "Assign `conversation.tools`, or pass functions to `run()`.",
    "previous_response_id": "Pass it to `send()` or `stream()`, or call `rollback()`.",
    "store": "The backend stores no responses: the conversation keeps them.",
}
# The options of a conversation that are not parameters of `create`.
_OPTIONS: Final = (
    "auto_compact", "effort", "instructions", "keep_partial", "model", "on_compaction", "path", "redact", "repair",
    "tools", "transport", "verbosity",
)  # fmt: skip
_READ_THE_STREAM: Final = (
    "Read its stream to the end, close it (`with conversation.stream(...) as stream:`), or call `interrupt()`."
)
_MIN_LIMIT_TOKENS: Final = 1_000
# An event loop closes a stream that was dropped. It is busy at most with the end of a connection.
_CLOSING_SECONDS: Final = 30.0


class _BaseConversation:
    """The settings and the history of a conversation, without I/O."""

    def __init__(
        self,
        client: Any,
        *,
        file: ConversationFile | Callable[[], ConversationFile] | None = None,
        auto_compact: bool | int = True,
        keep_partial: bool = True,
        repair: bool = False,
        on_compaction: Callable[[CompactionEvent], object] | None = None,
        settings: Mapping[str, Any] | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        self._client: Any = client
        self._opening = file if callable(file) else None
        self._file = ConversationFile() if file is None or callable(file) else file
        self._auto_compact, self._keep_partial, self._repair = _checked_limit(auto_compact), keep_partial, repair
        require_callback("on_compaction", on_compaction)
        self._on_compaction = on_compaction
        self._id = uuid.uuid4().hex
        self._call_options: dict[str, Any] = {}
        self._changes = {name: value for name, value in (settings or {}).items() if value is not None}
        self._tool_set = ToolSet()  # of the last run
        self._turn_state = TurnState()
        self._full_replays: Counter[str] = Counter()
        self._transport: str | None = None
        self._busy = create_lock()
        self._streams: WeakSet[Any] = WeakSet()  # those that were begun
        self._stream: Any = None
        self._exchange_in_progress: Exchange | None = None
        self._is_interrupted = False
        self._is_closed = False
        self._parameters = self._split_parameters(parameters or {})
        if self._opening is None:
            self._set_defaults()

    def _set_defaults(self) -> None:
        """Complete the settings that the caller passed by those of the file and of the client."""
        if self._parameters:
            self._changes["parameters"] = {**(self._state.settings.get("parameters") or {}), **self._parameters}
        options: Any = self._client._codex
        defaults = {
            "model": options.model,
            "instructions": options.instructions,
            "prompt_cache_key": str(uuid.uuid4()),
        }
        for name, value in defaults.items():
            if name not in self._state.settings:
                self._changes.setdefault(name, value)

    @property
    def _state(self) -> ConversationState:
        if self._opening is not None:
            raise ConversationError(
                "The file of the conversation is not open yet. Enter it: `async with conversation:`."
            )
        return self._file.state

    def __repr__(self) -> str:
        if self._opening is not None:
            return f"<{type(self).__name__}, not open yet>"
        return f"<{type(self).__name__} with {self._state.count} items, model {self.model!r}>"

    # Settings

    def _setting(self, name: str) -> Any:
        return self._changes[name] if name in self._changes else self._state.settings.get(name)

    @property
    def model(self) -> str:
        """The model of the next call. It may be assigned.

        Reasoning of the former model stays in the history and is not sent to the new one. If the history is too long
        for the new model, the next call first compacts it with the former one.
        """
        return str(self._setting("model"))

    @model.setter
    def model(self, model: str) -> None:
        self._changes["model"] = model

    @property
    def instructions(self) -> str | None:
        """The instructions. They may be assigned, and are not part of `items`. A change costs the prompt cache."""
        instructions: str | None = self._setting("instructions")
        return instructions

    @instructions.setter
    def instructions(self, instructions: str | None) -> None:
        self._changes["instructions"] = instructions

    @property
    def tools(self) -> list[Any]:
        """A copy of the definitions of the tools. They may be assigned. A change costs the prompt cache."""
        return deepcopy(self._setting("tools") or [])

    @tools.setter
    def tools(self, tools: Iterable[Any] | None) -> None:
        self._changes["tools"] = tool_definitions(tools or ())

    @property
    def effort(self) -> str | None:
        """The effort of the reasoning, or None for the default. It may be assigned.

        A change keeps the prompt cache if the model accepts it as an item of the history
        (`supports_reasoning_effort_updates` in the model catalog).
        """
        effort: str | None = self._setting("effort")
        return effort

    @effort.setter
    def effort(self, effort: str | None) -> None:
        self._changes["effort"] = effort

    @property
    def verbosity(self) -> str | None:
        """The verbosity of the text, or None for the default. It may be assigned."""
        verbosity: str | None = self._setting("verbosity")
        return verbosity

    @verbosity.setter
    def verbosity(self, verbosity: str | None) -> None:
        self._changes["verbosity"] = verbosity

    @property
    def parameters(self) -> dict[str, Any]:
        """A copy of the other parameters of `responses.create` that every call sends."""
        return {**deepcopy(self._setting("parameters") or {}), **self._call_options}

    def _split_parameters(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters that are saved. The others are the cache key, and options of the calls."""
        self._check_parameters(parameters, options=_OPTIONS)
        saved = {}
        for name, value in parameters.items():
            if name == "prompt_cache_key":
                self._changes[name] = value
            elif name in _CALL_OPTIONS:
                self._call_options[name] = value
            else:
                saved[name] = to_json_data(value, name)
        return saved

    def _check_parameters(self, parameters: Mapping[str, Any], *, options: Iterable[str] = ()) -> None:
        """Raise TypeError for a parameter that `create` does not have. `options` are others that the method has."""
        for name in parameters:
            if name in _OWN_PARAMETERS:
                raise TypeError(f"`{name}` cannot be a parameter here. {_OWN_PARAMETERS[name]}")
            known = inspect.signature(self._client.responses.create).parameters
            if name not in known:
                from difflib import get_close_matches  # 5 ms, only for this error

                close = get_close_matches(
                    name, [*options, *(each for each in known if each not in _OWN_PARAMETERS)], n=1
                )
                hint = f"Did you mean `{close[0]}`?" if close else "Remove it."
                raise TypeError(f"`{name}` is not a parameter of this method or of `responses.create`. {hint}")

    @property
    def prompt_cache_key(self) -> str:
        """The key of the prompt cache, which is also the session id. A fork has the same."""
        return str(self._setting("prompt_cache_key"))

    # History

    @property
    def items(self) -> tuple[Item, ...]:
        """A copy of the history: the items that the model sees, as plain dicts.

        Changing the copy does not change the conversation: use `append`, `rollback`, `repair` and `trim`. Reasoning and
        compaction items have the member `stamp`, which names the model and the account that can read them.
        """
        return tuple(deepcopy(self._state.items))

    def __len__(self) -> int:
        return self._state.count

    def __bool__(self) -> bool:
        return True  # although `len()` may be 0

    @property
    def path(self) -> Path | None:
        """The file of the conversation, or None if it is in memory only."""
        return self._file.path

    @property
    def usage(self) -> ConversationUsage:
        """The sums of the tokens of all responses."""
        return self._state.usage

    @property
    def cache_hit_ratio(self) -> float:
        """The share of all input tokens that the prompt cache contained, from 0 to 1."""
        return self._state.usage.cache_hit_ratio

    @property
    def context_tokens(self) -> int:
        """The tokens of the history: those of the last response, and an estimate for the items after it."""
        return self._state.context_tokens

    @property
    def size_bytes(self) -> int:
        """The size of the history as JSON. The backend accepts at most 64 MiB, and 16 MiB in a WebSocket message."""
        return sum(len(encode(item)) for item in self._state.items)

    @property
    def last_response_id(self) -> str | None:
        """The ID of the newest response in the history, or None."""
        return self._state.last_response_id

    @property
    def pending_calls(self) -> list[Item]:
        """The calls of tools that have no output yet, in their order."""
        pending = self._state.pending_calls()
        return deepcopy([call for call in pending if call["call_id"] not in self._state.finished_calls])

    @property
    def started_calls(self) -> frozenset[str]:
        """The ids of the calls whose tool was started, with or without an output."""
        return frozenset(self._state.started_calls)

    @property
    def full_replays(self) -> dict[str, int]:
        """How often the whole history was sent over the WebSocket instead of its new items, by reason.

        `no response to continue on this connection` is normal for the first call, and after a compaction or an
        interrupted response. The others name what changed, such as `changed: tools`.
        """
        return dict(self._full_replays)

    @property
    def transport(self) -> str | None:
        """The transport of the last call, `websocket` or `http`, or None before the first one."""
        return self._transport

    def _record_transport(self, stream: Any) -> None:
        sent = sent_message_of(stream.response)
        self._transport = "http" if sent is None else "websocket"
        if sent is not None and sent.full_replay is not None:
            self._full_replays[sent.full_replay] += 1

    # Calls

    def _turn(self, input: Any, overrides: Mapping[str, Any], **options: Any) -> Turn:
        """Return the turn of one call. Raises TypeError or ValueError for an invalid argument."""
        self._check_parameters(overrides, options=("keep_partial", "previous_response_id"))
        items = [] if input == "" else input_items(input)
        if not items and not self._state.count:
            raise ValueError(
                "There is nothing to answer: the input and the history are empty. Pass an input, or call "
                "`conversation.append(...)` first."
            )
        return Turn(self._state, items, self._turn_options(overrides, **options))

    def _turn_options(
        self,
        overrides: Mapping[str, Any] | None = None,
        *,
        keep_partial: bool | None = None,
        previous_response_id: str | None = None,
    ) -> TurnOptions:
        if previous_response_id is not None:
            self._place_of(previous_response_id)
        return TurnOptions(
            changes=dict(self._changes),
            call_options=self._call_options,
            overrides=overrides or {},
            auto_compact=self._auto_compact,
            keep_partial=self._keep_partial if keep_partial is None else keep_partial,
            repair=self._repair,
            previous_response_id=previous_response_id,
        )

    def _plan(self, input: Any, decisions: Mapping[str, object] | None, arguments: Mapping[str, Any]) -> RunPlan:
        """Return the plan of a run, and set the tools of the conversation. Raises what is wrong with the arguments."""
        given = arguments.get("tools")
        tools = self._tool_set if given is None else given if isinstance(given, ToolSet) else ToolSet(given)
        others = {name: value for name, value in arguments.items() if name != "tools"}
        plan = plan_run(self._state, tools, input, decisions=decisions, arguments=others)
        self._check_parameters(plan.parameters, options=("tools", *(each.name for each in fields(RunOptions))))
        if isinstance(self, Conversation):
            check_sync(tools)
        current = self.tools
        if given is None:
            if not len(tools) and any(each.get("type") in ("function", "custom") for each in current):
                raise ConversationError(
                    "The conversation has tools that the model may call, but this run has no functions for them. Pass "
                    "tools=."
                )
        elif (definitions := definitions_of(tools, current)) != current:
            self.tools = definitions
        self._tool_set = tools
        return plan

    def _place_of(self, response_id: str) -> tuple[int, int]:
        try:
            return self._state.place_of(response_id)
        except KeyError:
            raise ValueError(
                f"The conversation has no response {response_id!r}. Pass the `id` of one of its responses."
            ) from None

    def _request(self, exchange: Exchange) -> dict[str, Any]:
        if exchange.is_delivered and not _continues_turn(exchange.items):
            self._turn_state = TurnState()
        prepared = PreparedInput(
            exchange.items,
            history=self._id,
            generation=exchange.generation,
            suffix_length=0 if exchange.is_delivered else 1,  # the trigger of a compaction
            turn=self._turn_state,
        )
        return {**exchange.parameters, "input": prepared, "stream": True}

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Hold the conversation for one call. Raises ConversationError if another one is running or it is closed."""
        if self._is_closed:
            raise ConversationError(
                "The conversation is closed. Open it again, or keep it open: `with ... as conversation:`."
            )
        if not self._busy.acquire(blocking=False):
            raise ConversationError(
                f"Another call of this conversation is running. {_READ_THE_STREAM} Use `fork()` for parallel calls."
            )
        self._is_interrupted, self._exchange_in_progress = False, None
        try:
            yield
        finally:
            self._stream = None
            self._busy.release()

    def _unread_streams(self, *, is_interrupted: bool) -> list[Any]:
        """Return the streams that hold the conversation, but are not being read."""
        return [each for each in list(self._streams) if each._may_be_closed(is_interrupted=is_interrupted)]

    def _finish(self, outcome: Outcome, response: Any) -> None:
        """Set the response of a stream, and the exchange of one that the caller left."""
        outcome.response = response
        if outcome.is_left:
            outcome.exchange = self._exchange_in_progress

    def _forget_changes(self, records: Sequence[Record]) -> None:
        """Remove the changes of settings that were committed."""
        for record in records:
            for name, value in record.get("settings", {}).items():
                if name in self._changes and self._changes[name] == value:
                    del self._changes[name]

    def _known_catalog(self) -> Sequence[Mapping[str, Any]] | None:
        catalog: Sequence[Mapping[str, Any]] | None = self._client._catalog.get(self._client.credentials.ready())
        return catalog

    def _continued(self, file: ConversationFile) -> Any:
        """Return a conversation with the settings of this one, and the history of a file."""
        forked = type(self)(
            self._client,
            file=file,
            auto_compact=self._auto_compact,
            keep_partial=self._keep_partial,
            repair=self._repair,
            on_compaction=self._on_compaction,
            parameters=self._call_options,
        )
        forked._changes |= self._changes
        forked._tool_set = self._tool_set
        return forked

    def _unsaved_settings(self) -> list[Record]:
        return [{"type": "settings", "settings": dict(self._changes)}] if self._changes else []

    def _has_unwritten_settings(self) -> bool:
        """Return whether settings were changed since the last call that the file does not have."""
        return bool(self._changes) and not self._is_closed and self._file.is_writable

    def _interrupted_response(self, error: StreamInterruptedError) -> Any:
        """Return the response of a call that `interrupt()` ended. Raise the error of any other one."""
        exchange = self._exchange_in_progress
        response = exchange.interrupted_response() if self._is_interrupted and exchange is not None else None
        if response is None:
            raise error
        return response

    @staticmethod
    def _require_end(exchange: Exchange, stream: Any) -> None:
        """Raise StreamInterruptedError if the stream was closed between two events."""
        if exchange.response is None:
            raise StreamInterruptedError("The response was interrupted.", request=stream.response.request)

    def _name_item(self, error: BaseException, exchange: Any) -> None:
        """Add a note to an error that names an item by its index in `input`: which item of the history it is."""
        if not isinstance(error, openai.BadRequestError) or not isinstance(exchange, Exchange):
            return
        context, sent = context_of_response(error.response), sent_message_of(error.response)
        items = context.body.members["input"] if context is not None and context.body is not None else exchange.items
        first = 0 if sent is None else len(items) - sent.items_sent
        index = history.failed_item_index(f"{error.param} {error}", items[first:])
        if index is None or not exchange.is_delivered:
            return
        # Instructions may precede the history as a message.
        source = self._state.source_index(first + index - (len(items) - len(exchange.items)))
        if source is not None and (position := self._state.position(source)) is not None:
            item = self._state.item_at(position)
            name = " ".join(str(item[member]) for member in ("type", "role", "name", "call_id") if member in item)
            error.add_note(
                f"`input[{index}]` is `conversation.items[{source}]` ({name}). `conversation.repair()` repairs calls "
                f"and outputs, and `conversation.rollback(to={source})` removes this item and all that follow."
            )

    def _trimmed(self, max_tokens: int | None, max_bytes: int | None, image_turns: int | None) -> list[Record]:
        items = trim(self._state.items, max_tokens=max_tokens, max_bytes=max_bytes, image_turns=image_turns)
        if items is None:
            raise ConversationError(
                f"The last turn alone is longer than that. The history has about {self.context_tokens:,} tokens and "
                f"{self.size_bytes:,} bytes. Pass larger limits, or `image_turns=0` to omit images."
            )
        return self._edit(items)

    def _repaired(self) -> list[Record]:
        outputs = self._state.interrupted_outputs()
        return self._edit(history.pair([*self._state.items, *outputs], repair=True))

    def _edit(self, items: list[Item]) -> list[Record]:
        record = self._state.edit_record(items)
        return [] if record is None else [record]

    def _rollback_record(self, to: int | str | None) -> Record:
        if isinstance(to, str):
            view, count = self._place_of(to)
        else:
            count = self._state.last_turn_index() if to is None else to
            if not isinstance(count, int):
                raise TypeError(f"`to` must be a number of items or the `id` of a response, not {type(to).__name__}.")
            if not 0 <= count <= self._state.count:
                raise ValueError(f"`to` must be from 0 to {self._state.count}, the number of items, not {count}.")
            view = self._state.place[0]
        return {"type": "rollback", "view": view, "to": count}


class Conversation(_BaseConversation):
    """A history, and the calls that continue it. `client.codex.conversation()` starts one.

        with client.codex.conversation(instructions="Be brief.") as conversation:
            print(conversation.send("Hello").output_text)
            for text in conversation.stream("Tell me more.").text_deltas():
                print(text, end="")

    One call runs at a time. After it, the output of the response is in `items`, also if the call was interrupted.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Save changed settings, and close the conversation and its file. The client stays open."""
        try:
            if self._has_unwritten_settings():
                self._commit(self._unsaved_settings())
        finally:
            self._is_closed = True
            self._file.close()
            self._client._close_websocket(self._id)

    def send(
        self,
        input: Any = None,
        *,
        keep_partial: bool | None = None,
        previous_response_id: str | None = None,
        **parameters: Any,
    ) -> Response:
        """Send the input and return the response. Both are in the history afterwards.

        Args:
            input: Text, an item, several items, or a response of another call. None continues the history as it is.
            keep_partial: Whether an interrupted response stays as far as it was received (default: that of the
                conversation). If nothing of it stays, the input is removed, too, so that the call can be repeated.
            previous_response_id: An earlier response of this conversation. The history after it is rolled back.
            **parameters: Parameters of `responses.create` for this call only.

        Calls of an interrupted run get outputs that say whether they may have run.

        Raises ConversationError if another call is running, HistoryError for other calls without an output, and what
        `responses.create` raises. If a call fails before any output, the history is as before; `keep_partial` decides
        about a later failure.
        """
        return self.stream(
            input, keep_partial=keep_partial, previous_response_id=previous_response_id, **parameters
        ).until_done()

    def stream(
        self,
        input: Any = None,
        *,
        keep_partial: bool | None = None,
        previous_response_id: str | None = None,
        **parameters: Any,
    ) -> ConversationStream:
        """Return a stream of official events for the input: see `send`.

        It is an iterator and a context manager. The request is sent when the first event is read. `text_deltas()`
        iterates over the text only, and after the last event `response` is the response. Leaving the `with` block
        earlier interrupts the response.
        """
        turn = self._turn(input, parameters, keep_partial=keep_partial, previous_response_id=previous_response_id)
        return ConversationStream(partial(self._drive, turn.run), self._streams)

    def parse(self, input: Any = None, *, text_format: type[_FormatT], **parameters: Any) -> ParsedResponse[_FormatT]:
        """Send the input and return the response with its text parsed as `text_format`, a pydantic model.

        The other arguments are those of `send`. Raises OutputValidationError if the text does not match; the response
        is in the history then.
        """
        parameters["text"] = _with_format(parameters.get("text") or self.parameters.get("text"), text_format)
        parsed: ParsedResponse[_FormatT] = _parsed(self.send(input, **parameters), text_format)
        return parsed

    def run(
        self,
        input: Any = None,
        *,
        tools: Iterable[ToolLike] | ToolSet | None = None,
        max_turns: int = DEFAULT_MAX_TURNS,
        max_repeats: int | None = DEFAULT_MAX_REPEATS,
        parallel: bool = True,
        on_call: OnCall | None = None,
        on_call_timeout: float | None = None,
        on_error: Literal["return", "raise"] = "return",
        **parameters: Any,
    ) -> Response:
        """Send the input, run the tools that the model calls, and return the first response without calls.

        Args:
            input: As for `send`.
            tools: Python functions, `tools.FunctionTool`s, and definitions of tools that the backend runs itself. They
                replace the functions among the tools of the conversation. By default, those of the last run.
            max_turns: The number of requests after which MaxTurnsError is raised.
            max_repeats: How many times in a row the model may make the same calls, before RepeatedCallError is raised;
                None for any number.
            parallel: Whether the calls of a response run at the same time, in threads or tasks.
            on_call: Decides on each call before any call of its response starts. It receives a `tools.ToolCall` and
                returns `Allow()`, `Deny(reason)`, whose reason the model receives, or `Pause()`, which raises
                RunPausedError. The hook of an async conversation may be async.
            on_call_timeout: The seconds after which a call without a decision is denied. By default, there is no limit.
            on_error: Whether the exception of a tool is returned to the model, or raised after the other calls of the
                response have finished and their outputs are in the history.
            **parameters: Parameters of `responses.create` for these calls only. A `tool_choice` that requires a call
                applies to the first request.

        Raises RunStoppedError, ToolDefinitionError, ToolResultError, and what `send` raises. The history then has all
        outputs so far, and `resume()` continues.
        """
        return self.run_stream(
            input,
            tools=tools,
            max_turns=max_turns,
            max_repeats=max_repeats,
            parallel=parallel,
            on_call=on_call,
            on_call_timeout=on_call_timeout,
            on_error=on_error,
            **parameters,
        ).until_done()

    def run_stream(
        self, input: Any = None, *, decisions: Mapping[str, object] | None = None, **options: Unpack[RunArguments]
    ) -> ConversationStream:
        """Return a stream of the events of a whole run. The options are those of `run`, or of `resume`.

        It has the official events of all responses, and a `tools.ToolCallStarted` and `tools.ToolCallFinished` for each
        call. They also have a `type`: `tool_call.started` and `tool_call.finished`. `response` is the final response.
        """
        plan = self._plan(input, decisions, options)
        return ConversationStream(partial(run_steps, self, plan), self._streams)

    def resume(self, decisions: Mapping[str, object] | None = None, **options: Unpack[RunArguments]) -> Response:
        """Continue a run that was paused, stopped or interrupted, also in another process.

        `decisions` has the decisions on paused calls by their `call_id`. A call that was started, but has no output, is
        reported to the model as one that may have run; `Allow()` runs it again. The options are those of `run`.

        If the run is complete, returns its last response without a request, rebuilt from the history: its output, ID,
        model, status and usage. So a program may always begin with `resume()`. Raises ConversationError if the history
        is empty.
        """
        return self.run_stream(None, decisions=decisions, **options).until_done()

    def compact(self) -> None:
        """Replace the history by a summary of the model, the newest messages of the user, and those of the developer.

        Calls do this by themselves near the limit of the model (`auto_compact`). The replaced items stay in the file.
        Raises what `responses.create` raises, and CompactionError; the history is then unchanged.
        """
        for _ in self._drive(Turn(self._state, (), self._turn_options()).compact, Outcome()):
            pass  # pragma: no cover - no event of a compaction is delivered

    def append(self, input: Any) -> None:
        """Add items to the history without a request: text, an item, several items, or a response."""
        self._change([{"type": "item", "item": item} for item in input_items(input)])

    def rollback(self, to: int | str | None = None) -> None:
        """Restore an earlier history. The items that are removed stay in the file.

        Args:
            to: The number of items to keep, or the ID of a response, which becomes the last one. None removes the last
                messages of the user and all that follows.
        """
        self._change([self._rollback_record(to)])

    def repair(self) -> None:
        """Make the history valid: an output for each call without one, and no output without a call."""
        self._change(self._repaired())

    def trim(
        self, *, max_tokens: int | None = None, max_bytes: int | None = None, image_turns: int | None = None
    ) -> None:
        """Remove the oldest turns of the history until it fits. They stay in the file.

        Args:
            max_tokens: The most tokens to keep, as estimated.
            max_bytes: The most bytes of JSON to keep. Images have few tokens and many bytes.
            image_turns: The number of last turns of the user that keep their images. In earlier ones, a short text
                replaces each image.

        Messages of the developer and compaction items stay. Raises ConversationError if the last turn is too long.
        """
        self._change(self._trimmed(max_tokens, max_bytes, image_turns))

    def export(self, form: Literal["markdown", "json"] = "markdown", *, redact: bool = True) -> str:
        """Return the whole conversation as Markdown or JSON, also what was compacted or rolled back.

        With `redact=True`, keys and passwords that are recognized by their form are removed.
        """
        return self._file.export(form, redact=redact)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the conversation to a new file, and from now on append to it.

        Raises FileExistsError if the file exists, JournalError if it cannot be written, and ConversationError if the
        conversation has a file: `fork(path)` continues in another one.
        """
        with self._exclusive_call():
            self._file.save(path, self._unsaved_settings())

    def fork(self, path: str | os.PathLike[str] | None = None) -> Conversation:
        """Return another conversation that continues this history, with the same settings and prompt cache.

        It is in memory, or in a new file. A file in the same folder refers to the file of this conversation, which must
        stay there; a file in another folder is a copy.
        """
        with self._exclusive_call():
            forked: Conversation = self._continued(self._file.fork(path))
        return forked

    def delete(self, *, forks: Literal["refuse", "keep"] = "refuse") -> None:
        """Close the conversation and delete its file and images.

        If forks refer to the file, raises JournalError that lists them. With `forks="keep"`, the records are first
        copied into each of them. Raises JournalLockedError if such a fork is open.
        """
        self._file.require_deletable(forks=forks)
        self.close()
        self._file.delete(forks=forks)

    def interrupt(self) -> None:
        """End the running call early, from another thread. Do nothing if no call is running.

        The call returns the response received so far, with the status `incomplete` and the reason `interrupted`. If
        nothing was received, it raises StreamInterruptedError. `keep_partial` decides what stays in the history.
        """
        self._is_interrupted = True
        if not self._close_unread(is_interrupted=False) and self._stream is not None:
            self._stream.interrupt()

    # I/O

    def _close_unread(self, *, is_interrupted: bool) -> bool:
        """Close the streams that are not being read. Return whether there was one."""
        streams = self._unread_streams(is_interrupted=is_interrupted) if self._busy.locked() else []
        for stream in streams:
            stream.close()
        return bool(streams)

    @contextlib.contextmanager
    def _exclusive_call(self) -> Iterator[None]:
        self._close_unread(is_interrupted=self._is_interrupted)
        with self._exclusive():
            yield

    def _drive(self, start: Callable[[], Generator[Step, Any, Any]], outcome: Outcome) -> Generator[Any]:
        """Do the steps of a turn, yield the events for the caller, and set the response of the outcome."""
        with self._exclusive_call():
            steps = start()
            step = next(steps)
            while True:
                result: Any = None
                failure: BaseException | None = None
                try:
                    if isinstance(step, Exchange):
                        yield from self._exchange(step)
                    elif isinstance(step, Commit):
                        self._commit(step.records)
                    elif isinstance(step, NeedAccount):
                        result = _account_id(self._client.credentials.ready() or self._client.credentials.current())
                    elif isinstance(step, NeedCatalog):
                        result = self._catalog()
                    elif self._on_compaction is not None:
                        self._on_compaction(step)
                except GeneratorExit:
                    failure, outcome.is_left = CallerLeft(), True
                except BaseException as error:  # the turn decides what stays of the response
                    failure = error
                    self._name_item(error, step)
                try:
                    step = steps.send(result) if failure is None else steps.throw(failure)
                except StopIteration as end:
                    return self._finish(outcome, end.value)
                except CallerLeft:
                    return self._finish(outcome, None)
                except StreamInterruptedError as error:
                    return self._finish(outcome, self._interrupted_response(error))

    def _exchange(self, exchange: Exchange) -> Generator[Any]:
        with self._client.responses.create(**self._request(exchange)) as stream:
            self._stream, self._exchange_in_progress = stream, exchange
            self._record_transport(stream)
            if self._is_interrupted:
                stream.interrupt()
            for event in stream:
                records = exchange.feed(event)
                if records:
                    self._commit(records)
                if exchange.is_delivered:
                    yield event
            self._require_end(exchange, stream)

    def _catalog(self) -> Sequence[Mapping[str, Any]]:
        catalog = self._known_catalog()
        if catalog is None:
            with contextlib.suppress(openai.OpenAIError):  # the catalog is optional
                self._client.models.list()
            catalog = self._known_catalog()
        return catalog or ()

    def _change(self, records: Sequence[Record]) -> None:
        with self._exclusive_call():
            self._commit(records)

    def _commit(self, records: Sequence[Record]) -> None:
        # Ctrl-C must not separate the file from the history.
        if self._file.path is not None and threading.current_thread() is threading.main_thread():
            writing = _Writing(self._file, records)
            try:
                start_in_thread(writing.run, name="codex-conversation", daemon=False)
                writing.outcome.result()
            except BaseException:
                writing.finish()
                raise
        else:
            self._file.commit(records)
        self._forget_changes(records)


class AsyncConversation(_BaseConversation):
    """The async counterpart of `Conversation`, with the same methods as coroutines.

    Enter it with `async with`, which opens its file:

        async with client.codex.conversation(instructions="Be brief.") as conversation:
            print((await conversation.send("Hello")).output_text)
            async for text in conversation.stream("Tell me more.").text_deltas():
                print(text, end="")
    """

    def __await__(self) -> Generator[Any, Any, Self]:
        """Open the file and return the conversation, for programs that close it themselves."""
        return self.__aenter__().__await__()

    async def __aenter__(self) -> Self:
        if self._opening is not None:
            self._file = await _in_thread(self._opening)
            self._opening = None
            self._set_defaults()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Save changed settings, and close the conversation and its file. The client stays open."""
        try:
            if self._has_unwritten_settings():
                await self._commit(self._unsaved_settings())
        finally:
            self._is_closed = True
            self._file.close()
            await self._client._close_websocket(self._id)

    async def send(
        self,
        input: Any = None,
        *,
        keep_partial: bool | None = None,
        previous_response_id: str | None = None,
        **parameters: Any,
    ) -> Response:
        """Send the input and return the response; see `Conversation.send`."""
        return await self.stream(
            input, keep_partial=keep_partial, previous_response_id=previous_response_id, **parameters
        ).until_done()

    def stream(
        self,
        input: Any = None,
        *,
        keep_partial: bool | None = None,
        previous_response_id: str | None = None,
        **parameters: Any,
    ) -> AsyncConversationStream:
        """Return a stream of official events for the input; see `Conversation.stream`.

        Use it with `async with` if you may leave it before its end.
        """
        turn = self._turn(input, parameters, keep_partial=keep_partial, previous_response_id=previous_response_id)
        return AsyncConversationStream(partial(self._drive, turn.run), self._streams)

    async def parse(
        self, input: Any = None, *, text_format: type[_FormatT], **parameters: Any
    ) -> ParsedResponse[_FormatT]:
        """Send the input and return the response with its text parsed as `text_format`; see `Conversation.parse`."""
        parameters["text"] = _with_format(parameters.get("text") or self.parameters.get("text"), text_format)
        parsed: ParsedResponse[_FormatT] = _parsed(await self.send(input, **parameters), text_format)
        return parsed

    async def run(
        self,
        input: Any = None,
        *,
        tools: Iterable[ToolLike] | ToolSet | None = None,
        max_turns: int = DEFAULT_MAX_TURNS,
        max_repeats: int | None = DEFAULT_MAX_REPEATS,
        parallel: bool = True,
        on_call: OnCall | None = None,
        on_call_timeout: float | None = None,
        on_error: Literal["return", "raise"] = "return",
        **parameters: Any,
    ) -> Response:
        """Send the input, run the tools that the model calls, and return the final response; see `Conversation.run`.

        Coroutine functions run in tasks, all other functions in threads.
        """
        stream = self.run_stream(
            input,
            tools=tools,
            max_turns=max_turns,
            max_repeats=max_repeats,
            parallel=parallel,
            on_call=on_call,
            on_call_timeout=on_call_timeout,
            on_error=on_error,
            **parameters,
        )
        async with stream:
            return await stream.until_done()

    def run_stream(
        self, input: Any = None, *, decisions: Mapping[str, object] | None = None, **options: Unpack[RunArguments]
    ) -> AsyncRunStream:
        """Return a stream of the events of a whole run; see `Conversation.run_stream`. Use it with `async with`."""
        return AsyncRunStream(self, self._plan(input, decisions, options))

    async def resume(self, decisions: Mapping[str, object] | None = None, **options: Unpack[RunArguments]) -> Response:
        """Continue a run that was paused, stopped or interrupted; see `Conversation.resume`."""
        async with self.run_stream(None, decisions=decisions, **options) as stream:
            return await stream.until_done()

    async def compact(self) -> None:
        """Replace the history by a summary of the model; see `Conversation.compact`."""
        async for _ in self._drive(Turn(self._state, (), self._turn_options()).compact, Outcome()):
            pass  # pragma: no cover - no event of a compaction is delivered

    async def append(self, input: Any) -> None:
        """Add items to the history without a request: text, an item, several items, or a response."""
        await self._change([{"type": "item", "item": item} for item in input_items(input)])

    async def rollback(self, to: int | str | None = None) -> None:
        """Restore an earlier history; see `Conversation.rollback`."""
        await self._change([self._rollback_record(to)])

    async def repair(self) -> None:
        """Make the history valid: an output for each call without one, and no output without a call."""
        await self._change(self._repaired())

    async def trim(
        self, *, max_tokens: int | None = None, max_bytes: int | None = None, image_turns: int | None = None
    ) -> None:
        """Remove the oldest turns of the history until it fits; see `Conversation.trim`."""
        await self._change(self._trimmed(max_tokens, max_bytes, image_turns))

    async def export(self, form: Literal["markdown", "json"] = "markdown", *, redact: bool = True) -> str:
        """Return the whole conversation as Markdown or JSON; see `Conversation.export`."""
        text: str = await _in_thread(partial(self._file.export, form, redact=redact))
        return text

    async def save(self, path: str | os.PathLike[str]) -> None:
        """Write the conversation to a new file, and from now on append to it; see `Conversation.save`."""
        await self._close_unread(is_interrupted=self._is_interrupted)
        with self._exclusive():
            await _in_thread(partial(self._file.save, path, self._unsaved_settings()))

    async def fork(self, path: str | os.PathLike[str] | None = None) -> AsyncConversation:
        """Return another conversation that continues this history; see `Conversation.fork`."""
        await self._close_unread(is_interrupted=self._is_interrupted)
        with self._exclusive():
            forked: AsyncConversation = self._continued(await _in_thread(partial(self._file.fork, path)))
        return forked

    async def delete(self, *, forks: Literal["refuse", "keep"] = "refuse") -> None:
        """Close the conversation and delete its file and images; see `Conversation.delete`."""
        await _in_thread(partial(self._file.require_deletable, forks=forks))
        await self.close()
        await _in_thread(partial(self._file.delete, forks=forks))

    async def interrupt(self) -> None:
        """End the running call early, from another task; see `Conversation.interrupt`."""
        self._is_interrupted = True
        if not await self._close_unread(is_interrupted=False) and self._stream is not None:
            await self._stream.interrupt()

    # I/O

    _outcome: Outcome | None = None  # of the running call

    async def _close_unread(self, *, is_interrupted: bool) -> bool:
        """Close the streams that are not being read. Return whether there was one."""
        if not self._busy.locked():
            return False
        streams = self._unread_streams(is_interrupted=is_interrupted)
        for stream in streams:
            await stream.close()
        outcome = self._outcome
        if outcome is None or not outcome.is_dropped or outcome.end is None:
            return bool(streams)
        with anyio.move_on_after(_CLOSING_SECONDS):
            await outcome.end.wait()
        return True

    async def _drive(self, start: Callable[[], Generator[Step, Any, Any]], outcome: Outcome) -> AsyncGenerator[Any]:
        """Do the steps of a turn, yield the events for the caller, and set the response of the outcome."""
        await self._close_unread(is_interrupted=self._is_interrupted)
        outcome.end = anyio.Event()
        try:
            with self._exclusive():
                self._outcome = outcome
                steps = start()
                step = next(steps)
                failure: BaseException | None = None
                while True:
                    # After a cancellation nothing can be awaited: the records are then written without a thread.
                    is_cancelled = failure is not None and not isinstance(failure, Exception)
                    result: Any = None
                    failure = None
                    try:
                        if isinstance(step, Exchange):
                            # Not in a generator of its own: an event loop that ends closes all of them in any order.
                            async with await self._client.responses.create(**self._request(step)) as events:
                                await self._begin_exchange(events, step)
                                async for event in events:
                                    records = step.feed(event)
                                    if records:
                                        await self._commit(records)
                                    if step.is_delivered:
                                        yield event
                                self._require_end(step, events)
                        elif isinstance(step, Commit):
                            await self._commit(step.records, in_thread=not is_cancelled)
                        elif isinstance(step, NeedAccount):
                            credentials = self._client.credentials
                            result = _account_id(credentials.ready() or await _in_thread(credentials.current))
                        elif isinstance(step, NeedCatalog):
                            result = await self._catalog()
                        elif self._on_compaction is not None:
                            self._on_compaction(step)
                    except GeneratorExit:
                        failure, outcome.is_left = CallerLeft(), True
                    except BaseException as error:  # the turn decides what stays of the response
                        failure = error
                        self._name_item(error, step)
                    try:
                        step = steps.send(result) if failure is None else steps.throw(failure)
                    except StopIteration as end:
                        self._finish(outcome, end.value)
                        return
                    except CallerLeft:
                        self._finish(outcome, None)
                        return
                    except StreamInterruptedError as error:
                        self._finish(outcome, self._interrupted_response(error))
                        return
        finally:
            outcome.end.set()

    async def _begin_exchange(self, events: Any, exchange: Exchange) -> None:
        self._stream, self._exchange_in_progress = events, exchange
        self._record_transport(events)
        if self._is_interrupted:
            await events.interrupt()

    async def _catalog(self) -> Sequence[Mapping[str, Any]]:
        catalog = self._known_catalog()
        if catalog is None:
            with contextlib.suppress(openai.OpenAIError):  # the catalog is optional
                await self._client.models.list()
            catalog = self._known_catalog()
        return catalog or ()

    async def _change(self, records: Sequence[Record]) -> None:
        await self._close_unread(is_interrupted=self._is_interrupted)
        with self._exclusive():
            await self._commit(records)

    async def _commit(self, records: Sequence[Record], *, in_thread: bool = True) -> None:
        if in_thread and self._file.path is not None:
            writing = _Writing(self._file, records)
            try:
                await _in_thread(writing.run)
                writing.outcome.result()
            except BaseException:  # a cancellation does not stop the thread
                writing.finish()
                raise
        else:
            self._file.commit(records)
        self._forget_changes(records)


class _Writing:
    """A commit of records in another thread. A caller that is interrupted calls `finish`, and then knows its outcome.

    Otherwise the thread would write its records after those that undo them.
    """

    def __init__(self, file: ConversationFile, records: Sequence[Record]) -> None:
        self.outcome: Future[None] = Future()
        self._commit = partial(file.commit, records)

    def run(self) -> None:
        """Commit the records, unless the caller has given up."""
        if self.outcome.set_running_or_notify_cancel():
            run_into(self.outcome, self._commit)

    def finish(self) -> None:
        """Wait for the thread if it has begun, or keep it from beginning."""
        if not self.outcome.cancel():
            wait([self.outcome])


def _checked_limit(auto_compact: Any) -> bool | int:
    if isinstance(auto_compact, bool) or (isinstance(auto_compact, int) and auto_compact >= _MIN_LIMIT_TOKENS):
        return auto_compact
    raise ValueError(
        f"`auto_compact` must be True, False or a number of tokens of at least {_MIN_LIMIT_TOKENS:,}, not "
        f"{auto_compact!r}. Pass `auto_compact=False` to turn compaction off."
    )


def _account_id(login: Any) -> str | None:
    account_id: str | None = login.account_id
    return account_id


async def _in_thread(action: Callable[[], Any]) -> Any:
    return await anyio.to_thread.run_sync(action)


_ConversationT = TypeVar("_ConversationT", bound=_BaseConversation)


def new_conversation(
    conversation_class: type[_ConversationT],
    client: Any,
    file: ConversationFile | Callable[[], ConversationFile] | None,
    *,
    model: str | None = None,
    instructions: str | None = None,
    tools: Iterable[Any] | None = None,
    effort: str | None = None,
    verbosity: str | None = None,
    auto_compact: bool | int = True,
    keep_partial: bool = True,
    repair: bool = False,
    on_compaction: Callable[[CompactionEvent], object] | None = None,
    transport: Transport | None = None,
    **parameters: Any,
) -> _ConversationT:
    """Return a conversation with the arguments of `client.codex.conversation`."""
    settings = {
        "model": model,
        "instructions": instructions,
        "tools": None if tools is None else tool_definitions(tools),
        "effort": effort,
        "verbosity": verbosity,
    }
    return conversation_class(
        client if transport is None else client.with_options(transport=transport),
        file=file,
        settings=settings,
        auto_compact=auto_compact,
        keep_partial=keep_partial,
        repair=repair,
        on_compaction=on_compaction,
        parameters=parameters,
    )


def tool_definitions(tools: Iterable[Any]) -> list[Any]:
    """Return the definitions of tools as JSON data. Raises TypeError for a function."""
    if isinstance(tools, (str, Mapping)) or not isinstance(tools, Iterable):
        raise TypeError(f"`tools` must be a list of definitions, not {type(tools).__name__}.")
    tools = list(tools)
    if any(callable(tool) for tool in tools):
        raise TypeError(
            "The `tools` of a conversation are definitions. Pass functions to `conversation.run(input, tools=[...])`."
        )
    definitions: list[Any] = to_json_data(tools, "tools")
    return definitions


def input_items(input: Any) -> list[Item]:
    """Return the input of a call as items for the history. Raises TypeError for another type."""
    if input is None:
        return []
    if not isinstance(input, (str, Mapping)) and getattr(input, "object", None) == "response":
        input = input.output
    if isinstance(input, (str, Mapping)) or not isinstance(input, Iterable) or isinstance(input, openai.BaseModel):
        input = [input]
    items: list[Item] = []
    for given in to_json_data(list(input), "input"):
        for item in shape_input([given]):
            if not isinstance(item.get("type"), str) or not item["type"]:
                raise TypeError("An item of the input has neither a `type` nor a `role`. Add one of them.")
            stamp = given.get("stamp") if isinstance(given, dict) else None
            items.append(item if stamp is None else {**item, "stamp": stamp})
    return items


def _with_format(text: Any, text_format: Any) -> dict[str, Any]:
    return {**(text or {}), "format": type_to_text_format_param(text_format)}


def _parsed(response: Any, text_format: Any) -> Any:
    parse = partial(parse_response, text_format=text_format, input_tools=openai.omit)
    return parse_output(response, lambda raw: parse(response=raw))


def _continues_turn(items: Sequence[Item]) -> bool:
    """Return whether a request with these items belongs to the turn of the one before: it returns outputs of tools."""
    return bool(items) and str(items[-1].get("type")).endswith("_call_output")
