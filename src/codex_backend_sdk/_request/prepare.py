"""Prepare a request: check its route and parameters, and shape its body, before anything is sent.

`prepare` takes the request options that an official resource method built and returns `PreparedOptions`, which openai's
own pipeline sends. They contain the `RequestContext` for reading the response. The body is encoded and compressed once
for all attempts of the call.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NoReturn

from openai import NotGiven, Omit, OpenAIError

from .._catalog import efforts_of
from .._chat.chat_completion import account_digest
from .._chat.parameters import translate_request
from .._constants import AUTO_MODEL, CATALOG_CLIENT_VERSION, CHANGES_LOGGER, DEFAULT_INSTRUCTIONS
from .._errors.advice import Interface, advise_error
from .._exceptions import CodexBackendUnsupportedParameterError, UnsupportedEndpointError
from .._items import make_response_subscriptable
from .._urls import is_websocket_url, require_backend_url
from .context import PreparedOptions, RequestContext
from .instructions import as_message, as_parameter, has_leading_message, requires_parameter
from .prompt_cache import cache_headers, cache_seed, derive_key
from .request_body import PreparedInput, RequestBody
from .routes import Route, find_route, missing_resource, remedy_for, requested_model
from .shaping import RejectedParameter, build_compaction_body, is_absent, shape, to_json_data

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import httpx2
    import openai

    from .._chat.chat_completion import ChatSettings
    from .._options import ClientOptions
    from .._upstream import FinalRequestOptions
    from ..types import Login
    from .compression import Compression
    from .instructions import InstructionsPlacement
    from .shaping import ShapedRequest

__all__ = [
    "BackendURL",
    "complete_for_login",
    "has_automatic_model",
    "prepare",
    "prepare_message",
    "reject_resource",
    "reject_websocket",
    "use_backend_path",
    "use_instructions_parameter",
    "with_model",
]

_log = logging.getLogger("codex_backend_sdk")
_changes_log = logging.getLogger(CHANGES_LOGGER)

_MODEL_ROUTES: Final = (Route.RESPONSES, Route.COMPACT, Route.CHAT)
_RESPONSES_PATH: Final = "/responses"
# Codex CLI: core/src/compact_remote_v2.rs.
_COMPACTION_HEADERS: Final = {"x-codex-beta-features": "remote_compaction_v2"}


class BackendURL:
    """Validated base URL of the backend. Raises ValueError for a URL to which no login may be sent."""

    def __init__(self, base_url: httpx2.URL) -> None:
        self.base_url = base_url
        self.base_url_text = str(base_url)
        require_backend_url(self.base_url_text, name="base_url")
        self._urls_by_path: dict[str, httpx2.URL] = {}

    def url(self, path: str, *, join: Callable[[str], httpx2.URL]) -> httpx2.URL:
        """Return the URL of a path. `join` appends a path to the base URL as the official client does.

        URLs are cached: there are few paths, and parsing two URLs takes a tenth of the time of a call.
        """
        if is_websocket_url(path):  # an absolute URL, with a query of the caller
            return join(path)
        if path not in self._urls_by_path:
            self._urls_by_path[path] = self._account_url(path) if path.startswith("/wham/") else join(path)
        return self._urls_by_path[path]

    def _account_url(self, path: str) -> httpx2.URL:
        # Account endpoints begin with /backend-api/wham, on other hosts with /api/codex.
        # Codex CLI: backend-client/src/client.rs.
        parent = self.base_url.path.rstrip("/").removesuffix("/codex")
        full_path = parent + path if "/backend-api" in parent else parent + path.replace("/wham/", "/api/codex/", 1)
        return self.base_url.copy_with(raw_path=full_path.encode())


def has_automatic_model(options: FinalRequestOptions, client_options: ClientOptions) -> bool:
    """Return whether the model of a model request is `auto`."""
    if find_route(options.method, options.url) not in _MODEL_ROUTES:
        return False
    parameters = {**_mapping_or_empty(options.json_data), **_mapping_or_empty(options.extra_json)}
    model = parameters.get("model")
    return (client_options.model if is_absent(model) else model) == AUTO_MODEL


def with_model(options: FinalRequestOptions, model: str) -> FinalRequestOptions:
    """Return a copy of the options of a model request with this model."""
    copied = copy(options)
    copied.extra_json = {**_mapping_or_empty(options.extra_json), "model": model}
    return copied


def prepare(
    options: FinalRequestOptions,
    client_options: ClientOptions,
    compression: Compression,
    placement: InstructionsPlacement,
    *,
    login: Login | None,
    is_streamed: bool,
    models: Sequence[Mapping[str, Any]] | None = None,
) -> PreparedOptions:
    """Return the options to send, with the context for reading the response.

    `login` is the login, if it is loaded. Otherwise `complete_for_login` completes the options later. `models` is the
    model catalog, if it is cached.
    Raises UnsupportedEndpointError for a route that the backend lacks, and CodexBackendUnsupportedParameterError for
    parameters that the backend rejects.
    """
    route = find_route(options.method, options.url)
    if route is None:
        raise _unsupported_endpoint(*missing_resource(options.method, options.url))
    if route in _MODEL_ROUTES:
        return _prepare_response(
            options, route, client_options, compression, placement, login=login, is_streamed=is_streamed, models=models
        )
    if route in (Route.MODELS, Route.MODEL):
        # The backend has no route for a single model, so both routes read the catalog.
        model_id = requested_model(options.url) if route is Route.MODEL else None
        return PreparedOptions.from_options(
            options,
            RequestContext(route=route, model_id=model_id),
            url="/models",
            params={"client_version": CATALOG_CLIENT_VERSION, **options.params},
        )
    return PreparedOptions.from_options(options, RequestContext(route=route))


def _prepare_response(
    options: FinalRequestOptions,
    route: Route,
    client_options: ClientOptions,
    compression: Compression,
    placement: InstructionsPlacement,
    *,
    login: Login | None,
    is_streamed: bool,
    models: Sequence[Mapping[str, Any]] | None,
) -> PreparedOptions:
    parameters: dict[str, Any] = {**_mapping_or_empty(options.json_data), **_mapping_or_empty(options.extra_json)}
    traced_body, chat = parameters, None
    repaired: tuple[str, ...] = ()
    given_input = parameters.get("input")
    prepared_input = given_input if isinstance(given_input, PreparedInput) else None
    if route is Route.CHAT:
        route, prepared_input = Route.RESPONSES, None
        with _advice_for_chat():
            chat, shaped, repaired = _shape_chat(parameters, client_options, models)
            dropped_parameters = _apply_unsupported_policy(client_options, shaped)
    else:
        if prepared_input is not None:
            parameters["input"] = []
        shaped = shape(parameters, model=client_options.model, instructions=client_options.instructions)
        if prepared_input is not None:
            shaped.body["input"] = prepared_input
        dropped_parameters = _apply_unsupported_policy(client_options, shaped)
    if dropped_parameters is not None:
        dropped_parameters += repaired
    body, kept_items, headers = shaped.body, (), {"Accept": "text/event-stream"}
    if route is Route.COMPACT:
        kept_items = tuple(item for item in body["input"] if item.get("role") == "user")
        body = build_compaction_body(body)
        headers |= _COMPACTION_HEADERS
    turn = None if prepared_input is None else prepared_input.turn
    seed = None
    if client_options.prompt_cache and body.get("prompt_cache_key") is None:
        session_id = _header(options, "session-id")
        if session_id is None:
            seed = cache_seed(body)
        else:
            body["prompt_cache_key"] = session_id
    headers |= cache_headers(body.get("prompt_cache_key"), turn)
    uses_message = _uses_message(body, client_options, placement)
    if uses_message:
        body = as_message(body)
    elif chat is not None and "instructions" not in body:
        uses_message = has_leading_message(body)
        if uses_message and placement.is_parameter_required(body["model"]):
            body, uses_message = as_parameter(body), False
    request_body = RequestBody(body, compression, prepared_input=prepared_input)
    uses_websocket = client_options.transport == "websocket" or (
        client_options.transport == "auto" and prepared_input is not None
    )
    prepared = PreparedOptions.from_options(
        options,
        RequestContext(
            route=route,
            chat=chat,
            is_streamed=is_streamed and route is Route.RESPONSES,
            delivers_codex_events=client_options.codex_events,
            max_event_bytes=client_options.max_event_bytes,
            restarts_on_interrupt=client_options.retries.on_interrupt == "restart",
            dropped_parameters=dropped_parameters,
            repaired_parameters=repaired,
            kept_items=kept_items,
            cache_seed=seed,
            turn=turn,
            can_move_instructions=uses_message and client_options.instructions_as == "auto",
            body=request_body,
            uses_websocket=uses_websocket,
        ),
        # A tracer of `request()` reads the URL to know the form of `json_data`. `use_backend_path` replaces it.
        url=_RESPONSES_PATH if chat is None else options.url,
        headers={**headers, **_mapping_or_empty(options.headers)},
        json_data=body if chat is None else traced_body,
        extra_json=None,
        post_parser=_with_subscriptable_items(options.post_parser) if chat is None else options.post_parser,
    )
    if login is not None:
        complete_for_login(prepared, login)
    if not prepared.context.uses_websocket:
        _ = request_body.encoded  # raises for invalid text, before the login is looked up
    return prepared


@contextmanager
def _advice_for_chat() -> Iterator[None]:
    """Rewrite the advice of errors, which names parameters of Responses, for a chat completion."""
    try:
        yield
    except (OpenAIError, TypeError, ValueError) as error:
        advise_error(error, Interface.CHAT)
        raise


def _shape_chat(
    parameters: Mapping[str, Any], client_options: ClientOptions, models: Sequence[Mapping[str, Any]] | None
) -> tuple[ChatSettings, ShapedRequest, tuple[str, ...]]:
    """Translate and shape the parameters of a chat completion. Return the names of those that were repaired, too."""
    present = {name: to_json_data(value, name) for name, value in parameters.items() if not is_absent(value)}
    request = translate_request(
        present,
        model=client_options.model,
        is_lenient=client_options.unsupported == "drop",
        efforts=_accepted_efforts(models, present.get("model", client_options.model)),
    )
    # The messages of a chat are the whole prompt, so the default instructions are not added.
    is_default = client_options.instructions == DEFAULT_INSTRUCTIONS
    shaped = shape(
        request.parameters,
        model=client_options.model,
        instructions="" if is_default else client_options.instructions,
    )
    droppable = (*shaped.droppable, *(RejectedParameter(*each) for each in request.droppable))
    not_droppable = (*shaped.not_droppable, *(RejectedParameter(*each) for each in request.refused))
    for name, problem in request.repairs:
        _changes_log.warning("codex_backend_sdk repaired `%s`: %s.", name, problem)
    shaped = shaped._replace(droppable=droppable, not_droppable=not_droppable)
    return request.settings, shaped, tuple(name for name, _ in request.repairs)


def _accepted_efforts(models: Sequence[Mapping[str, Any]] | None, model: Any) -> list[str]:
    """Return the reasoning efforts of a model in the cached catalog, or an empty list if they are unknown."""
    entry = next((entry for entry in models or () if entry.get("id") == model), {})
    return efforts_of(entry)


def complete_for_login(options: PreparedOptions, login: Login) -> None:
    """Complete the options of a call with what depends on the login.

    A call without a prompt cache key gets a derived one and its headers. Reasoning in the messages of a chat that
    belongs to another account is left out.
    """
    context: RequestContext = options.context
    if context.body is None:
        return
    if context.chat is not None and context.chat.accounts and login.account_id is not None:
        own = account_digest(login.account_id)
        foreign = {data for data, account in context.chat.accounts.items() if account != own}
        if foreign:
            items = context.body.members["input"]
            kept = [item for item in items if item.get("encrypted_content") not in foreign]
            context.body.set_member("input", kept)
    if context.cache_seed is None:
        return
    key = derive_key(context.cache_seed, login)
    if context.body.members.get("prompt_cache_key") != key:
        context.body.set_member("prompt_cache_key", key)
    options.headers = {**cache_headers(key, context.turn), **_mapping_or_empty(options.headers)}
    options.context = replace(context, cache_seed=None)


def use_instructions_parameter(
    options: PreparedOptions, placement: InstructionsPlacement, error: openai.APIError
) -> bool:
    """Change a call that the backend rejected because its instructions are a message. Return whether it was changed."""
    context: RequestContext = options.context
    status = getattr(error, "status_code", None)
    if not context.can_move_instructions or context.body is None or not requires_parameter(status, error.message):
        return False
    body = as_parameter(context.body.members)
    placement.record_requirement(body["model"])
    _log.info(
        "The backend requires the parameter `instructions` for %s. This client sends it from now on.", body["model"]
    )
    options.context = replace(context, body=context.body.with_members(body), can_move_instructions=False)
    if context.chat is None:
        options.json_data = body
    return True


# Members of a `response.create` message that a request over HTTP does not have.
_MESSAGE_MEMBERS: Final = ("type", "generate", "stream_id", "previous_response_id")


def prepare_message(
    message: Mapping[str, Any],
    client_options: ClientOptions,
    placement: InstructionsPlacement,
    *,
    cache_key: str | None,
) -> dict[str, Any]:
    """Return a `response.create` message for the WebSocket, in the form of a request over HTTP.

    `cache_key` is the prompt cache key of a message without one. A message that continues a response has no message
    with instructions, because the input of that response begins with them. Raises as `prepare` does.
    """
    envelope = {name: message[name] for name in _MESSAGE_MEMBERS if not is_absent(message.get(name))}
    parameters = {name: value for name, value in message.items() if name not in _MESSAGE_MEMBERS}
    is_continued = "previous_response_id" in envelope
    if is_continued and is_absent(parameters.get("input")):
        parameters["input"] = []
    shaped = shape(parameters, model=client_options.model, instructions=client_options.instructions)
    _apply_unsupported_policy(client_options, shaped)
    body = shaped.body
    if cache_key is not None:
        body.setdefault("prompt_cache_key", cache_key)
    if _uses_message(body, client_options, placement):
        body = {name: body[name] for name in body if name != "instructions"} if is_continued else as_message(body)
    return {**envelope, **body}


def _uses_message(body: Mapping[str, Any], client_options: ClientOptions, placement: InstructionsPlacement) -> bool:
    has_text = isinstance(body.get("instructions"), str)
    return has_text and placement.uses_message(body["model"], client_options.instructions_as)


def _apply_unsupported_policy(client_options: ClientOptions, shaped: ShapedRequest) -> tuple[str, ...] | None:
    """Return the names of the dropped parameters, or None with `unsupported="raise"`. Raise for rejected parameters."""
    should_drop = client_options.unsupported == "drop"
    rejected = shaped.not_droppable if should_drop else (*shaped.not_droppable, *shaped.droppable)
    if rejected:
        raise _unsupported_parameters(rejected, can_drop=not shaped.not_droppable)
    if not should_drop:
        return None
    for parameter in shaped.droppable:
        _changes_log.warning("codex_backend_sdk dropped `%s`: the Codex backend does not support it.", parameter.name)
    return tuple(parameter.name for parameter in shaped.droppable)


def reject_websocket(url: str) -> None:
    """Raise UnsupportedEndpointError for the handshake of a WebSocket that is not for responses."""
    if is_websocket_url(url):
        name = url.partition("?")[0].rstrip("/").rpartition("/")[2]
        if name != "responses":
            raise _unsupported_endpoint(f"{name}.connect", "Use `client.responses`.")


def use_backend_path(options: FinalRequestOptions) -> None:
    """Replace the URL of a chat completion by that of the backend, in the options of one attempt."""
    if isinstance(options, PreparedOptions) and options.context.chat is not None:
        options.url = _RESPONSES_PATH


def reject_resource(resource: str) -> NoReturn:
    """Raise UnsupportedEndpointError for this resource."""
    raise _unsupported_endpoint(resource, remedy_for(resource))


def _unsupported_endpoint(resource: str, remedy: str) -> UnsupportedEndpointError:
    return UnsupportedEndpointError(
        f"The Codex backend does not support `{resource}`. Nothing was sent. {remedy}", resource=resource
    )


def _unsupported_parameters(
    rejected: Sequence[RejectedParameter], *, can_drop: bool
) -> CodexBackendUnsupportedParameterError:
    names = ", ".join(f"`{parameter.name}`" for parameter in rejected)
    remedies = "".join(f" Instead of `{name}`, {remedy}." for name, remedy in rejected if remedy)
    pronoun = "it" if len(rejected) == 1 else "them"
    drop = f" Remove {pronoun}, or construct the client with `unsupported='drop'`." if can_drop else ""
    return CodexBackendUnsupportedParameterError(
        f"The Codex backend does not support {names}. Nothing was sent.{remedies}{drop}",
        parameters=[parameter.name for parameter in rejected],
    )


def _with_subscriptable_items(parser: Any) -> Any:
    """Wrap the parser of `responses.parse()`: it keeps the response, and its new objects support `item["key"]`."""
    if isinstance(parser, NotGiven):
        return parser

    def parse(raw: Any) -> Any:
        from .output_parsing import parse_output  # openai's parser is slow to import

        parsed = parse_output(raw, parser)
        make_response_subscriptable(parsed)
        return parsed

    return parse


def _header(options: FinalRequestOptions, name: str) -> str | None:
    """Return the header that the caller set for this call, or None."""
    headers = {**_mapping_or_empty(options.headers)}  # raises TypeError, as `create()` does, for another type
    return next((value for key, value in headers.items() if key.lower() == name and isinstance(value, str)), None)


def _mapping_or_empty(value: Any) -> Mapping[str, Any]:
    """Return the mapping, or an empty one for None, `NOT_GIVEN` and `omit`."""
    return {} if value is None or isinstance(value, (NotGiven, Omit)) else value
