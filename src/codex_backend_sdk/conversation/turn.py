"""One call of a conversation, from its input to its response, without I/O.

`Turn.run` is a generator that yields what must be done next, in the way of `_request/auth_flow`. The sync and the async
conversation do it, send the result back, or throw the exception in:

    Commit           write the records to the file, then apply them to the state
    NeedAccount      send back the account id of the login, or None
    NeedCatalog      send back the entries of the model catalog, or nothing
    Exchange         request a stream with these parameters and feed every event; commit the records that `feed` returns
    CompactionEvent  report it to the caller

Records are committed as soon as an item is finished, so the history on disk is complete up to the item in flight. When
a call fails or is interrupted for any reason, the same generator decides what stays.

The cases, in the order in which they are handled:
- The effort of the reasoning changes by a `configuration_update` item if the model supports it, else by the parameter.
- Before a model with a smaller window, or a history near the limit, the history is compacted.
- `InvalidEncryptedContentError`: the request is sent once more without reasoning and with compactions undone.
- `ContextLengthExceededError`: the history is compacted, and the request sent once more.
- Any other end before the terminal event: the finished items and the text so far stay; with `keep_partial=False`, or
  without any, the input is removed, too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from .. import history
from .._coerce import as_mapping
from .._constants import AUTO_MODEL
from .._exceptions import CompactionError, ContextLengthExceededError, InvalidEncryptedContentError
from .._request.shaping import to_json_data
from .._streaming.events import build_response
from .compaction import TRIGGER, compaction_limit, estimate_tokens, find_boundary, kept_indexes, kept_tokens, shrink
from .state import resendable_items

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping, Sequence

    from .state import ConversationState, Item, Record

__all__ = [
    "CallerLeft",
    "Commit",
    "CompactionEvent",
    "Exchange",
    "NeedAccount",
    "NeedCatalog",
    "Step",
    "Turn",
    "TurnOptions",
]

# Codex CLI: core/src/compact_remote_v2.rs.
_COMPACTION_HEADERS: Final = {"x-codex-beta-features": "remote_compaction_v2"}
_COMPACTION_ITEMS: Final = ("compaction", "compaction_summary")
# No model has such a small window, so shorter histories need no look at the catalog.
_SMALLEST_WINDOW_TOKENS: Final = 16_000
_MIN_GAIN: Final = 0.2  # a smaller gain of two compactions in a row is a loop
_MAX_COMPACTIONS_A_TURN: Final = 10
_CHOICES: Final = (
    "Shorten it with `conversation.trim(max_tokens=...)`, set `conversation.model` to a model with a larger window, or "
    "start another conversation. The history is unchanged."
)


@dataclass(frozen=True, slots=True)
class Commit:
    """Records to write and to apply, in this order."""

    records: Sequence[Record]


@dataclass(frozen=True, slots=True)
class NeedAccount:
    """Send back the account id of the login, or None if the login has none."""


@dataclass(frozen=True, slots=True)
class NeedCatalog:
    """Send back the entries of the model catalog, or an empty sequence if it is not available."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactionEvent:
    """A finished compaction, for `on_compaction`.

    Attributes:
        trigger: Why: `manual` (`compact()`), `limit`, `context_length_exceeded` or `model_switch`.
        tokens_before: The tokens of the history before it, as measured or estimated.
        tokens_after: An estimate of the tokens after it.
        items_before: The number of items before it.
        items_after: The number of items after it.
    """

    trigger: Trigger
    tokens_before: int
    tokens_after: int
    items_before: int
    items_after: int


Trigger = Literal["manual", "limit", "context_length_exceeded", "model_switch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnOptions:
    """What a conversation passes to each of its turns.

    Attributes:
        changes: The settings that changed since the last turn.
        call_options: Parameters of `create` that are not saved: headers, timeouts.
        overrides: Parameters of this call only.
        auto_compact: Whether to compact near the limit of the model, or the number of tokens from which to compact.
        keep_partial: Whether an interrupted response stays, as far as it was received.
        repair: Whether calls without an output get one, and outputs without a call are removed.
        previous_response_id: The response that the input follows, if it is not the last one.
    """

    changes: Mapping[str, Any] = field(default_factory=dict)
    call_options: Mapping[str, Any] = field(default_factory=dict)
    overrides: Mapping[str, Any] = field(default_factory=dict)
    auto_compact: bool | int = True
    keep_partial: bool = True
    repair: bool = False
    previous_response_id: str | None = None


class CallerLeft(BaseException):
    """The caller closed the stream before its end."""


class Exchange:
    """One request and its response: parameters, events in, records out.

    `parameters` are those of `responses.create`, without `input`, which is `items`. `generation` belongs to `items`.
    `is_delivered` says whether the caller receives the events. After the terminal event, `response` is the response.
    """

    def __init__(
        self,
        state: ConversationState,
        parameters: dict[str, Any],
        items: list[Item],
        *,
        account_id: str | None,
        is_delivered: bool = True,
    ) -> None:
        self.parameters = parameters
        self.items = items
        self.generation = state.generation
        self.is_delivered = is_delivered
        self.response: Any = None
        self.is_interrupted = False  # by `interrupt()`: the backend has ended the response
        self.output: list[Item] = []  # the finished items
        self._state = state
        self.start = state.count  # the index of the first item of the response
        self._account_id = account_id
        self._model = str(parameters["model"])
        self._created_response: Any = None
        self._response_id: str | None = None
        self._kept: list[Item] = []
        self._texts: dict[int, list[str]] = {}  # output index of an unfinished message → its text
        self._phases: dict[int, Any] = {}

    @property
    def has_output(self) -> bool:
        """Whether something of the response was received that would be received twice by another request."""
        return bool(self.output or self._texts)

    def feed(self, event: Any) -> list[Record]:
        """Return the records of an event."""
        handler = self._HANDLERS.get(event.type)
        return [] if handler is None else handler(self, event)

    def _created(self, event: Any) -> list[Record]:
        self._created_response = event.response
        self._response_id = getattr(event.response, "id", None)
        records: list[Record] = []
        if self._model == AUTO_MODEL and getattr(event.response, "model", None):
            self._model = event.response.model  # the model of a conversation is chosen once
            records.append({"type": "settings", "settings": {"model": self._model}})
        if self.has_output:
            self.output, self._texts = [], {}  # the client sent the request again
            records.append({"type": "rollback", "to": self.start})
        return self._records(records)

    def _added(self, event: Any) -> list[Record]:
        if getattr(event.item, "type", None) == "message":
            self._phases[event.output_index] = getattr(event.item, "phase", None)
        return []

    def _text_delta(self, event: Any) -> list[Record]:
        self._texts.setdefault(event.output_index, []).append(event.delta or "")
        return []

    def _item_done(self, event: Any) -> list[Record]:
        self._texts.pop(event.output_index, None)
        item = self._stamped(event.item)
        self.output.append(item)
        return self._records([{"type": "item", "item": item, "response": self._response_id}])

    def _finished(self, event: Any) -> list[Record]:
        response = self.response = event.response
        details = getattr(response, "incomplete_details", None)
        self.is_interrupted = getattr(details, "reason", None) == "interrupted"
        if self.is_interrupted:
            return []  # `closing_records` keeps the text, too, which the backend has discarded
        final = [self._stamped(item) for item in response.output or ()]
        # An item may be completed after its own event, for example the arguments of a call.
        output = [old if old == new else new for old, new in zip(self.output, final, strict=False)]
        self.output = output + final[len(output) :]
        status = response.status or "completed"
        kept = self.output if status == "completed" else resendable_items(self.output)
        return self._records(self._ending(kept, status))

    def closing_records(self) -> list[Record]:
        """Return the records that keep what was received of an interrupted response; none if nothing is left."""
        kept = resendable_items(self.output)
        for index in sorted(self._texts):
            if text := "".join(self._texts[index]):
                part = {"type": "output_text", "text": text, "annotations": []}
                message: Item = {"type": "message", "role": "assistant", "status": "incomplete", "content": [part]}
                if self._phases.get(index):
                    message["phase"] = self._phases[index]
                kept.append(message)
        self._kept = kept
        return self._ending(kept, "interrupted") if kept else []

    def interrupted_response(self) -> Any:
        """Return what was received of a response that the caller interrupted, None if it had not begun.

        It looks like one that the backend ended over the WebSocket. Call it after `closing_records`.
        """
        if self.response is not None or self._created_response is None:
            return self.response
        output = [{name: member for name, member in item.items() if name != "stamp"} for item in self._kept]
        return build_response(
            {
                **to_json_data(self._created_response, "response"),
                "status": "incomplete",
                "incomplete_details": {"reason": "interrupted"},
                "output": output,
            }
        )

    def _ending(self, kept: list[Item], status: str) -> list[Record]:
        """Return the records that leave these items of the response in the history, and end it."""
        record: Record = {"type": "response", "id": self._response_id, "model": self._model, "status": status}
        if self.response is not None:
            usage = self.response.usage
            record["id"] = self.response.id
            record["usage"] = None if usage is None else to_json_data(usage, "usage")
            record["created_at"] = self.response.created_at
        edit = self._state.edit_record(kept, start=self.start) if self.is_delivered else None
        return [record] if edit is None else [edit, record]

    _HANDLERS: Final = {
        "response.created": _created,
        "response.output_item.added": _added,
        "response.output_text.delta": _text_delta,
        "response.output_item.done": _item_done,
        "response.completed": _finished,
        "response.incomplete": _finished,
    }

    def _records(self, records: list[Record]) -> list[Record]:
        return records if self.is_delivered else []  # the response to a compaction is no part of the history

    def _stamped(self, item: Any) -> Item:
        (stamped,) = history.stamp([to_json_data(item, "output")], model=self._model, account_id=self._account_id)
        return stamped


Step = Commit | NeedAccount | NeedCatalog | Exchange | CompactionEvent


class Turn:
    """One call of `send`, `stream` or `parse`, or of `compact`. `items` is the input, as prepared for the history."""

    def __init__(self, state: ConversationState, items: Iterable[Item], options: TurnOptions) -> None:
        self._state = state
        self._items = list(items)
        self._options = options
        self._account_id: str | None = None
        self._undo: Record | None = None
        self._added = 0  # the number of items at the end of the history that this turn added before its request

    def run(self) -> Generator[Step, Any, Any]:
        """Return the response. Raises what the request raises; the history is then as `TurnOptions` says."""
        yield from self._begin()
        try:
            yield from self._add_input()
            yield from self._compact_near_limit()
            return (yield from self._respond())
        except BaseException:
            yield from self._remove()
            raise

    def compact(self, trigger: Trigger = "manual") -> Generator[Step, Any, None]:
        """Compact the history."""
        yield from self._begin()
        yield from self._compact(trigger)

    def _begin(self) -> Generator[Step, Any, None]:
        if records := self._state.open_response_records():
            yield Commit(records)
        self._account_id = yield NeedAccount()
        yield from self._apply_settings()
        while positions := self._state.foreign_compactions(self._account_id):
            yield Commit([{"type": "expand", "compaction": positions[-1]}])

    # Settings

    def _apply_settings(self) -> Generator[Step, Any, None]:
        state, changes = self._state, dict(self._options.changes)
        old_model, model = state.settings.get("model"), changes.get("model", state.settings.get("model"))
        is_switch = bool(state.count) and model != old_model
        if is_switch and old_model is not None and self._options.auto_compact is not False:
            tokens = state.context_tokens
            if tokens >= _SMALLEST_WINDOW_TOKENS and tokens >= compaction_limit(
                (yield from self._catalog_entry(model))
            ):
                yield from self._compact("model_switch")
        effort = changes.get("effort", state.settings.get("effort"))
        if is_switch or not state.count:
            changes["sent_effort"] = effort
            if updates := state.positions("configuration_update"):
                yield Commit([{"type": "edit", "drop": updates, "insert": []}])
        elif effort != self._effort_in_effect():
            entry = yield from self._catalog_entry(model)
            if effort is not None and as_mapping(entry).get("supports_reasoning_effort_updates"):
                self._items.insert(0, {"type": "configuration_update", "reasoning": {"effort": effort}})
            else:
                changes["sent_effort"] = effort
                if updates := state.positions("configuration_update"):
                    yield Commit([{"type": "edit", "drop": updates, "insert": []}])
        changes = {name: value for name, value in changes.items() if state.settings.get(name) != value}
        if changes:
            yield Commit([{"type": "settings", "settings": changes}])

    def _effort_in_effect(self) -> Any:
        updates = self._state.positions("configuration_update")
        if not updates:
            return self._state.settings.get("sent_effort")
        return as_mapping(self._state.item_at(updates[-1]).get("reasoning")).get("effort")

    def _catalog_entry(self, model: Any) -> Generator[Step, Any, Mapping[str, Any] | None]:
        models: Sequence[Mapping[str, Any]] = yield NeedCatalog()
        return next((entry for entry in models if entry.get("id") == model), None)

    # Input

    def _add_input(self) -> Generator[Step, Any, None]:
        state, options = self._state, self._options
        if options.previous_response_id not in (None, state.last_response_id):
            assert options.previous_response_id is not None
            view, to = state.place_of(options.previous_response_id)
            here_view, here_to = state.place
            try:
                yield Commit([{"type": "rollback", "view": view, "to": to}])
            finally:
                if state.place != (here_view, here_to):
                    self._undo = {"type": "rollback", "view": here_view, "to": here_to, "undo": True}
        given = {item.get("call_id") for item in self._items}
        interrupted = [output for output in state.interrupted_outputs() if output["call_id"] not in given]
        self._items = [*interrupted, *self._items]
        if options.repair:
            yield from self._repair()
        if self._items:
            start = state.count
            try:
                yield Commit([{"type": "item", "item": item} for item in self._items])
            finally:
                self._added = state.count - start  # also if Ctrl-C came after the records were written

    def _repair(self) -> Generator[Step, Any, None]:
        """Pair calls and outputs of the input and of the items before it that were not sent yet."""
        start, added = self._state.unsent_index, {id(item) for item in self._items}
        paired = history.pair([*self._state.tail(start), *self._items], repair=True)
        self._items = [item for item in paired if id(item) in added]
        edit = self._state.edit_record([item for item in paired if id(item) not in added], start=start)
        if edit is not None:
            yield Commit([edit])

    # Requests

    def _respond(self) -> Generator[Step, Any, Any]:
        recovered: set[str] = set()
        while True:
            model = self._state.settings["model"]
            items = self._state.prepared(model=model, account_id=self._account_id)
            exchange = Exchange(self._state, self._parameters(), items, account_id=self._account_id)
            try:
                yield exchange
            except (InvalidEncryptedContentError, ContextLengthExceededError) as error:
                if exchange.has_output or not (yield from self._recover(error, recovered)):
                    yield from self._close(exchange)
                    raise
            except BaseException:
                yield from self._close(exchange)
                raise
            else:
                yield from self._close(exchange)
                return exchange.response

    def _recover(self, error: BaseException, recovered: set[str]) -> Generator[Step, Any, bool]:
        """Change the history so that another request may succeed, each way once. Return whether it changed."""
        state = self._state
        if isinstance(error, ContextLengthExceededError):
            if self._options.auto_compact is False or "compaction" in recovered or not find_boundary(state.items):
                return False
            recovered.add("compaction")
            yield from self._compact("context_length_exceeded")
            return True
        reasoning, compactions = state.positions("reasoning"), state.expandable_compactions()
        if reasoning and "reasoning" not in recovered:
            recovered.add("reasoning")
            yield Commit([{"type": "edit", "drop": reasoning, "insert": []}])
            return True
        if compactions and "expansion" not in recovered:
            recovered.add("expansion")
            yield Commit([{"type": "expand", "compaction": compactions[-1]}])
            return True
        return False

    def _close(self, exchange: Exchange) -> Generator[Step, Any, None]:
        """End the turn: keep what was received of an interrupted response, or remove the turn."""
        if exchange.response is not None and not exchange.is_interrupted:
            self._added, self._undo = 0, None
            return
        records = exchange.closing_records()
        if records and self._options.keep_partial:
            self._added, self._undo = 0, None
            yield Commit(records)
        else:
            self._added += self._state.count - exchange.start  # an item may be received and not be recorded
            yield from self._remove()

    def _remove(self) -> Generator[Step, Any, None]:
        """Remove what this turn added to the history."""
        if self._undo is not None:
            yield Commit([self._undo])
        elif self._added:
            yield Commit([{"type": "rollback", "to": self._state.count - self._added}])
        self._added, self._undo = 0, None

    def _parameters(self) -> dict[str, Any]:
        settings, options = self._state.settings, self._options
        parameters = {
            **as_mapping(settings.get("parameters")),
            "model": settings["model"],
            "instructions": settings.get("instructions"),
            "tools": settings.get("tools"),
            "prompt_cache_key": settings.get("prompt_cache_key"),
            **options.call_options,
            **options.overrides,
        }
        for name, member, value in (
            ("reasoning", "effort", settings.get("sent_effort")),
            ("text", "verbosity", settings.get("verbosity")),
        ):
            if value is not None:
                parameters[name] = {member: value, **as_mapping(parameters.get(name))}
        return {name: value for name, value in parameters.items() if value is not None}

    # Compaction

    def _compact_near_limit(self) -> Generator[Step, Any, None]:
        limit, state = self._options.auto_compact, self._state
        if limit is False or not state.count:
            return
        tokens = state.context_tokens
        if limit is True:
            if tokens < _SMALLEST_WINDOW_TOKENS:
                return
            limit = compaction_limit((yield from self._catalog_entry(state.settings["model"])))
        if tokens < limit:
            return
        if state.is_compaction_useless(min_gain=_MIN_GAIN, at_most=_MAX_COMPACTIONS_A_TURN):
            raise CompactionError(
                f"The history has about {tokens:,} tokens again, the limit is {limit:,}, and the last compaction saved "
                f"little. Another one would be a loop. {_CHOICES}"
            )
        if find_boundary(state.items) and not state.is_compaction_early(tokens, min_gain=_MIN_GAIN):
            yield from self._compact("limit", limit=limit)

    def _compact(self, trigger: Trigger, *, limit: int | None = None) -> Generator[Step, Any, None]:
        state = self._state
        if limit is None:
            own = self._options.auto_compact
            limit = compaction_limit(None) if isinstance(own, bool) else own
        items = state.items
        boundary = find_boundary(items) if trigger != "manual" else len(items)
        if not boundary:
            raise CompactionError(
                f"There is nothing to compact before the last message of the user, which is too long itself. {_CHOICES}"
            )
        tokens_before, items_before = state.context_tokens, len(items)
        replaced = items[:boundary]
        exchange = yield from self._request_compaction(replaced)
        indexes = kept_indexes(replaced, max_tokens=kept_tokens(limit))
        kept = [state.position(index) for index in indexes]
        (item,) = (item for item in exchange.output if item.get("type") in _COMPACTION_ITEMS)
        tokens_after = sum(map(estimate_tokens, [item, *(items[index] for index in indexes), *items[boundary:]]))
        record = {
            "type": "compaction",
            "item": item,
            "kept": kept,
            "before": state.position(boundary),
            "trigger": trigger,
            "tokens_before": tokens_before,
            "tokens_after": tokens_after,
            "usage": to_json_data(exchange.response.usage, "usage"),
        }
        yield Commit([record])
        if boundary == len(items):
            self._added = 0
        yield CompactionEvent(
            trigger=trigger,
            tokens_before=tokens_before,
            tokens_after=tokens_after,
            items_before=items_before,
            items_after=state.count,
        )

    def _request_compaction(self, replaced: list[Item]) -> Generator[Step, Any, Exchange]:
        """Request a compaction of these items, a second time with less if they are too many."""
        state = self._state
        parameters = self._parameters()
        parameters["extra_headers"] = {**_COMPACTION_HEADERS, **as_mapping(parameters.get("extra_headers"))}
        text = {name: value for name, value in as_mapping(parameters.pop("text", None)).items() if name != "format"}
        if text:
            parameters["text"] = text
        is_shrunk = is_without_reasoning = False
        while True:
            items = shrink(replaced) if is_shrunk else replaced
            if is_without_reasoning:
                items = history.without_reasoning(items)
            prepared = history.prepare(items, model=state.settings["model"], account_id=self._account_id)
            exchange = Exchange(
                state, parameters, [*prepared, dict(TRIGGER)], account_id=self._account_id, is_delivered=False
            )
            if is_shrunk or is_without_reasoning:
                exchange.generation = -1  # these are not the items that were sent before
            try:
                yield exchange
            except InvalidEncryptedContentError:
                if is_without_reasoning:
                    raise
                is_without_reasoning = True
                continue
            except ContextLengthExceededError as error:
                if is_shrunk:
                    raise CompactionError(
                        "The history is too long even for the request that compacts it, also without its oldest tool "
                        f"outputs and images. {_CHOICES}"
                    ) from error
                is_shrunk = True
                continue
            count = sum(item.get("type") in _COMPACTION_ITEMS for item in exchange.output)
            if count != 1 or exchange.response.status != "completed":
                raise CompactionError(
                    f"The backend returned {count} compaction items instead of one. The history is unchanged. Call "
                    "`conversation.compact()` again, or continue without it."
                )
            return exchange
