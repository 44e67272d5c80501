"""Official request options → the request that is sent, or a refusal before anything is.

Everything that a client does between `client.responses.create(...)` and the wire is decided here.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, NoReturn

from openai import BaseModel, NotGiven, Omit

from .._constants import CATALOGUE_CLIENT_VERSION
from .._exceptions import CodexBackendUnsupportedParameterError, UnsupportedEndpointError
from .._items import subscriptable
from .._json import encode_in_pieces
from .._upstream import PreparedOptions
from .compression import plain_body
from .context import RequestContext
from .routes import Route, find_route, missing_resource, model_id
from .shaping import Refusal, compaction, shape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import httpx2

    from .._upstream import FinalRequestOptions
    from ..types import Settings
    from .compression import Compression

__all__ = ["in_plain", "prepare", "refuse", "refuse_websocket"]

_log = logging.getLogger("codex_backend_sdk")

# Codex CLI: core/src/compact_remote_v2.rs.
_COMPACTION_HEADERS: Final = {"x-codex-beta-features": "remote_compaction_v2"}


def prepare(
    options: FinalRequestOptions, settings: Settings, compression: Compression, *, streamed: bool
) -> PreparedOptions:
    """Return the options that upstream shall send, with the plan for reading the answer.

    UnsupportedEndpointError for a route that the backend does not have, CodexBackendUnsupportedParameterError for
    parameters that it refuses.
    """
    route = find_route(options.method, options.url)
    if route is None:
        raise _unsupported_endpoint(*missing_resource(options.method, options.url))
    if route in (Route.RESPONSES, Route.COMPACT):
        return _prepare_response(options, route, settings, compression, streamed=streamed)
    if route in (Route.ACCOUNT, Route.USAGE, Route.RESET):
        return PreparedOptions.of(options, RequestContext(route=route))
    return PreparedOptions.of(
        options,
        RequestContext(route=route, model_id=model_id(options.url) if route is Route.MODEL else None),
        url="/models",
        params={"client_version": CATALOGUE_CLIENT_VERSION, **options.params},
    )


def _prepare_response(
    options: FinalRequestOptions, route: Route, settings: Settings, compression: Compression, *, streamed: bool
) -> PreparedOptions:
    given = {**_mapping(options.json_data), **_mapping(options.extra_json)}
    shaped = shape(given, model=settings.model, instructions=settings.instructions)
    dropped = _apply_policy(settings, shaped.droppable, shaped.meaningful)
    body, kept, headers = shaped.body, (), {"Accept": "text/event-stream"}
    if route is Route.COMPACT:
        kept = tuple(item for item in body["input"] if item.get("role") == "user")
        body = compaction(body)
        headers |= _COMPACTION_HEADERS
    cache_key = body.get("prompt_cache_key")
    if (
        isinstance(cache_key, str)
        and cache_key.isascii()
        and cache_key.isprintable()
        and cache_key == cache_key.strip()
    ):
        headers["session-id"] = cache_key  # what leads a call to the machine whose prompt cache is warm
    content, encoding = compression.apply(encode_in_pieces(body))  # once, for all attempts
    return PreparedOptions.of(
        options,
        RequestContext(
            route=route,
            streamed=streamed and route is Route.RESPONSES,
            restarts=settings.retries.on_interrupt == "restart",
            dropped=dropped,
            kept=kept,
        ),
        url="/responses",
        headers={**headers, **encoding, **_mapping(options.headers)},
        json_data=None,
        extra_json=None,
        content=content,
        post_parser=_keep_subscriptable(options.post_parser),
    )


def _apply_policy(
    settings: Settings, droppable: Sequence[Refusal], meaningful: Sequence[Refusal]
) -> tuple[str, ...] | None:
    refused = [*meaningful, *(droppable if settings.unsupported == "raise" else ())]
    if refused:
        raise _unsupported_parameters(refused, can_drop=not meaningful)
    if settings.unsupported == "raise":
        return None
    for refusal in droppable:
        _log.warning("codex_backend_sdk: the backend does not take `%s`; the call goes out without it.", refusal.name)
    return tuple(refusal.name for refusal in droppable)


def in_plain(request: httpx2.Request, http_client: httpx2.Client | httpx2.AsyncClient) -> httpx2.Request:
    """Return the same request with its body as it was before it was compressed."""
    encoded = ("content-encoding", "content-length")
    headers = [(name, value) for name, value in request.headers.multi_items() if name.lower() not in encoded]
    return http_client.build_request(
        request.method, str(request.url), headers=headers, content=plain_body(request), extensions=request.extensions
    )


def refuse_websocket(url: str) -> None:
    """UnsupportedEndpointError for a WebSocket handshake; those do not pass the other checks."""
    if url.startswith(("ws://", "wss://")):
        name = url.partition("?")[0].rstrip("/").rpartition("/")[2]
        raise _unsupported_endpoint(f"{name}.connect", "use `client.responses.create(..., stream=True)`")


def refuse(resource: str) -> NoReturn:
    """UnsupportedEndpointError for a resource by its name."""
    raise _unsupported_endpoint(resource, "")


def _unsupported_endpoint(resource: str, instead: str) -> UnsupportedEndpointError:
    hint = f" Instead: {instead}." if instead else ""
    return UnsupportedEndpointError(
        f"The Codex backend has no `{resource}`.{hint} Nothing was sent. "
        "It has `responses`, `models` and the endpoints under `client.codex`.",
        resource=resource,
    )


def _unsupported_parameters(refused: Sequence[Refusal], *, can_drop: bool) -> CodexBackendUnsupportedParameterError:
    names = ", ".join(f"`{refusal.name}`" for refusal in refused)
    remedies = "".join(f" For `{name}`: {remedy}." for name, remedy in refused if remedy)
    leave = "Leave it out" if len(refused) == 1 else "Leave them out"
    drop = f" {leave}, or let `OpenAI(unsupported='drop')` leave out what can be." if can_drop else ""
    return CodexBackendUnsupportedParameterError(
        f"The Codex backend refuses {names}; nothing was sent.{remedies}{drop}",
        parameters=[refusal.name for refusal in refused],
    )


def _keep_subscriptable(parser: Any) -> Any:
    """Wrap the parser of `parse()`, which builds the response anew."""
    if isinstance(parser, NotGiven):
        return parser

    def parse(raw: Any) -> Any:
        parsed = parser(raw)
        for part in (parsed, *(getattr(parsed, "output", None) or ())):
            if isinstance(part, BaseModel):
                subscriptable(part)
        return parsed

    return parse


def _mapping(value: Any) -> Mapping[str, Any]:
    return {} if value is None or isinstance(value, (NotGiven, Omit)) else value
