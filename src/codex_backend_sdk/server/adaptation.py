"""Adapt the body of a request to what the client accepts, and name what was changed. Pure.

Programs send parameters that the backend does not have, spellings of their own, and histories that it would reject.
Most of that is decided below the server: the client drops parameters and repairs messages (`unsupported="drop"`), and
reports their names. This module adds what only a server needs:

- names of models with an effort, such as `gpt-5.5-high`, for programs without a setting for the effort. An exact name
  and an explicit parameter have precedence.
- an effort that the model does not accept is replaced by the nearest one.
- the spellings of the AI SDK; on `/v1/responses`, parameters of Chat Completions, unknown ones and `store: true`.
- items without a counterpart in `input`: a call without an output, and an output without a call.
- the header of a session as the prompt cache key.

Text is never changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from openai.types.responses.response_create_params import ResponseCreateParamsStreaming

from .. import history
from .._catalog import EFFORTS, efforts_of
from .._chat.parameters import EFFORT_ORDER, accepted_effort, with_official_names
from .._coerce import as_mapping, hashed_call_id
from .._constants import MAX_ID_LENGTH
from .._exceptions import HistoryError
from .api_errors import ApiError
from .changes import Change

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["AdaptedBody", "adapt_body", "session_of", "split_model"]

Body = dict[str, Any]

# Headers in which programs name their session, in the order of precedence.
_SESSION_HEADERS: Final = (
    "session-id",  # Codex CLI; openai/codex: codex-api/src/requests/headers.rs
    "session_id",  # earlier versions of the Codex CLI
    "x-session-id",
    "x-session-affinity",
    "x-opencode-session",
    "x-conversation-id",
)
# `client_metadata` is a parameter of the backend only. The others are spellings that are translated or refused below.
_RESPONSES_PARAMETERS: Final = frozenset(ResponseCreateParamsStreaming.__annotations__) | {"client_metadata"}
# Parameter of Chat Completions → the parameter of Responses, and its member.
_NESTED: Final = {
    "reasoning_effort": ("reasoning", "effort"),
    "reasoning_summary": ("reasoning", "summary"),
    "verbosity": ("text", "verbosity"),
}


class AdaptedBody(NamedTuple):
    """The body to send, and the changes of the given one."""

    body: Body
    changes: tuple[Change, ...]


def adapt_body(
    given: Mapping[str, Any],
    *,
    is_chat: bool,
    models: Sequence[Mapping[str, Any]],
    session_id: str | None = None,
    shows_reasoning: bool = True,
    drops: bool = True,
) -> AdaptedBody:
    """Return the body for the client. `models` is the model catalog, or empty if it is unknown.

    `session_id` is the session that a header names. With `drops`, unsupported values are replaced and named, else
    InvalidChatRequestError or ApiError is raised for them. ApiError is also raised for a body of the wrong shape.
    """
    _refuse_wrong_shape(given, is_chat=is_chat)
    changes: list[Change] = []
    body = with_official_names({name: value for name, value in given.items() if value is not None})
    if not is_chat:
        _nest_chat_parameters(body)
    _resolve_model(body, is_chat=is_chat, models=models)
    _replace_effort(body, is_chat=is_chat, models=models, drops=drops, changes=changes)
    if isinstance(body.get("input"), list) and drops:
        body["input"] = _repaired(body["input"], changes)
    if not is_chat:
        _drop_responses_parameters(body, drops=drops, changes=changes)
    elif not shows_reasoning:
        body["reasoning"] = {**as_mapping(body.get("reasoning")), "exclude": True}
    _set_cache_key(body, session_id, drops=drops, changes=changes)
    return AdaptedBody(body, tuple(changes))


def _refuse_wrong_shape(body: Mapping[str, Any], *, is_chat: bool) -> None:
    """Raise ApiError for a body that belongs to the other route and cannot be read on this one.

    The body of a response is accepted for a chat completion, because programs send it there.
    """
    if is_chat or body.get("input") is not None:
        return
    if body.get("messages") is not None:
        raise ApiError(
            400,
            "codex-backend serve got `messages` on /v1/responses. Send the request to /v1/chat/completions, or the "
            "messages as `input`.",
            param="messages",
            code="local_wrong_route",
        )


def session_of(headers: Mapping[str, str]) -> str | None:
    """Return the session that the headers of a request name, in a form that the backend accepts as a key, or None."""
    for name in _SESSION_HEADERS:
        value = headers.get(name, "").strip()
        if value:
            return _valid_cache_key(value)
    return None


def _valid_cache_key(value: str) -> str:
    return value if len(value) <= MAX_ID_LENGTH and value.isascii() else hashed_call_id(value)


def _set_cache_key(body: Body, session_id: str | None, *, drops: bool, changes: list[Change]) -> None:
    """Use the session as the key if the body has none. The client also sends the key as a header, so it is short.

    Without a session, the client derives the key (`_request.prompt_cache`).
    """
    given = body.get("prompt_cache_key")
    if not given:
        if session_id is not None:
            body["prompt_cache_key"] = session_id
    elif drops and isinstance(given, str) and given != _valid_cache_key(given):
        body["prompt_cache_key"] = _valid_cache_key(given)
        changes.append(Change("replaced", "prompt_cache_key by its hash"))


# Models and efforts


def split_model(name: str, models: Sequence[Mapping[str, Any]]) -> tuple[str, str | None]:
    """Return a model and the effort in its name, such as `gpt-5.5` and `high`. An exact name has no effort."""
    ids = {model.get("id") for model in models}
    model, _, effort = name.rpartition("-")
    return (model, effort) if name not in ids and model in ids and effort in EFFORT_ORDER else (name, None)


def _resolve_model(body: Body, *, is_chat: bool, models: Sequence[Mapping[str, Any]]) -> None:
    name = body.get("model")
    if not isinstance(name, str):
        return
    body["model"], effort = split_model(name, models)
    if effort is not None and _effort(body) is None:
        _set_effort(body, effort, is_chat=is_chat)


def _effort(body: Mapping[str, Any]) -> Any:
    flat = body.get("reasoning_effort")
    return as_mapping(body.get("reasoning")).get("effort") if flat is None else flat


def _set_effort(body: Body, effort: str, *, is_chat: bool) -> None:
    if is_chat:
        body["reasoning_effort"] = effort
    else:
        body["reasoning"] = {**as_mapping(body.get("reasoning")), "effort": effort}


def _replace_effort(
    body: Body, *, is_chat: bool, models: Sequence[Mapping[str, Any]], drops: bool, changes: list[Change]
) -> None:
    """Replace an effort that the model does not accept: the backend would not respond at all."""
    effort = _effort(body)
    if effort is None:
        return
    entry = next((model for model in models if model.get("id") == body.get("model")), {})
    name = "reasoning_effort" if is_chat else "reasoning.effort"
    accepted = accepted_effort(
        effort, efforts_of(entry) or EFFORTS, model=body.get("model"), is_lenient=drops, param=name
    )
    if accepted != effort:
        _set_effort(body, accepted, is_chat=is_chat)
        changes.append(Change("replaced", f"{name} {effort!s:.20} by {accepted}"))


# Responses


def _nest_chat_parameters(body: Body) -> None:
    """Move each parameter of Chat Completions that is a member of another parameter in Responses."""
    for name, (parent, member) in _NESTED.items():
        if name in body:
            body[parent] = {member: body.pop(name), **as_mapping(body.get(parent))}


def _drop_responses_parameters(body: Body, *, drops: bool, changes: list[Change]) -> None:
    if "response_format" in body:
        raise ApiError(
            400,
            "`response_format` is a parameter of Chat Completions. Pass `text.format` to /v1/responses.",
            param="response_format",
            code="unsupported_parameter",
        )
    if body.get("tools") == []:  # no tools, with which a choice of a tool makes no sense
        for name in ("tools", "tool_choice"):
            body.pop(name, None)
    if not drops:
        return
    # A later request for the stored response gets 404, so nothing is pretended.
    dropped = [name for name in body if name not in _RESPONSES_PARAMETERS and name not in _CLIENT_DROPS]
    if body.get("store") is True:
        dropped.append("store")
    for name in dropped:
        del body[name]
    changes += [Change("dropped", name) for name in dropped]


# Parameters of Chat Completions that the client itself drops and names.
_CLIENT_DROPS: Final = frozenset(
    {"max_tokens", "max_completion_tokens", "frequency_penalty", "presence_penalty", "seed"}
)


def _repaired(items: list[Any], changes: list[Change]) -> list[Any]:
    """Return the items with valid call ids, an output for each call, and without outputs that have no call."""
    items = [_with_valid_call_id(item) for item in items]
    try:
        return history.pair(items)
    except HistoryError as error:
        changes += [Change("repaired", f"input[{index}]") for index in error.indexes]
        return history.pair(items, repair=True)
    except TypeError:  # an element is not an item: the client names it
        return items


def _with_valid_call_id(item: Any) -> Any:
    call_id = as_mapping(item).get("call_id")
    if not isinstance(call_id, str) or len(call_id) <= MAX_ID_LENGTH:
        return item
    return {**item, "call_id": hashed_call_id(call_id)}
