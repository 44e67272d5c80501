"""Prepare a request: check its route and parameters, and shape its body, before anything is sent.

Input: the request options that an official resource method built. Output: `PreparedOptions`, with which openai's own
pipeline sends the request, and in them the `RequestContext` by which the response is read. The body is encoded, and
compressed, once for all attempts of the call.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, NoReturn

from openai import NotGiven, Omit

from .._constants import CATALOG_CLIENT_VERSION
from .._exceptions import CodexBackendUnsupportedParameterError, UnsupportedEndpointError
from .._items import make_response_subscriptable
from .._json import encode_in_pieces
from .._urls import require_backend_url
from .context import PreparedOptions, RequestContext
from .routes import Route, find_route, missing_resource, requested_model
from .shaping import compaction, shape

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import httpx2

    from .._options import ClientOptions
    from .._upstream import FinalRequestOptions
    from .compression import Compression
    from .shaping import RejectedParameter, ShapedRequest

__all__ = ["BackendURL", "prepare", "reject_resource", "reject_websocket"]

_log = logging.getLogger("codex_backend_sdk")

# Codex CLI: core/src/compact_remote_v2.rs.
_COMPACTION_HEADERS: Final = {"x-codex-beta-features": "remote_compaction_v2"}


class BackendURL:
    """The configured backend's address, checked, and the URLs of its paths. ValueError if no login may be sent there."""

    def __init__(self, base: httpx2.URL) -> None:
        self.base = base
        self.address = str(base)
        require_backend_url(self.address, name="base_url")
        self._urls: dict[str, httpx2.URL] = {}

    def url(self, path: str, *, join: Callable[[str], httpx2.URL]) -> httpx2.URL:
        """Return the URL of a path; `join` appends a path to the address as the official client does.

        URLs are cached: there are few paths, and parsing two URLs is a tenth of the cost of a call.
        """
        if path not in self._urls:
            self._urls[path] = self._account_url(path) if path.startswith("/wham/") else join(path)
        return self._urls[path]

    def _account_url(self, path: str) -> httpx2.URL:
        # The account's endpoints are siblings of the Codex backend. Codex CLI: backend-client/src/client.rs.
        base = self.base.path.rstrip("/").removesuffix("/codex")
        full_path = base + path if "/backend-api" in base else base + path.replace("/wham/", "/api/codex/", 1)
        return self.base.copy_with(raw_path=full_path.encode())


def prepare(
    options: FinalRequestOptions, client_options: ClientOptions, compression: Compression, *, is_streamed: bool
) -> PreparedOptions:
    """Return the options to send, with the context for reading the response.

    UnsupportedEndpointError for a route that the backend lacks, CodexBackendUnsupportedParameterError for parameters
    that it rejects.
    """
    route = find_route(options.method, options.url)
    if route is None:
        raise _unsupported_endpoint(*missing_resource(options.method, options.url))
    if route in (Route.RESPONSES, Route.COMPACT):
        return _prepare_response(options, route, client_options, compression, is_streamed=is_streamed)
    if route in (Route.MODELS, Route.MODEL):
        # The backend has no route for a single model: both read the catalog.
        model_id = requested_model(options.url) if route is Route.MODEL else None
        return PreparedOptions.of(
            options,
            RequestContext(route=route, model_id=model_id),
            url="/models",
            params={"client_version": CATALOG_CLIENT_VERSION, **options.params},
        )
    return PreparedOptions.of(options, RequestContext(route=route))


def _prepare_response(
    options: FinalRequestOptions,
    route: Route,
    client_options: ClientOptions,
    compression: Compression,
    *,
    is_streamed: bool,
) -> PreparedOptions:
    parameters = {**_members(options.json_data), **_members(options.extra_json)}
    shaped = shape(parameters, model=client_options.model, instructions=client_options.instructions)
    dropped_parameters = _apply_policy(client_options, shaped)
    body, kept_items, headers = shaped.body, (), {"Accept": "text/event-stream"}
    if route is Route.COMPACT:
        kept_items = tuple(item for item in body["input"] if item.get("role") == "user")
        body = compaction(body)
        headers |= _COMPACTION_HEADERS
    cache_key: Any = body.get("prompt_cache_key")
    if _fits_into_header(cache_key):
        headers["session-id"] = cache_key  # routes the call to the machine whose prompt cache is warm
    content, encoding = compression.encode(encode_in_pieces(body))
    return PreparedOptions.of(
        options,
        RequestContext(
            route=route,
            is_streamed=is_streamed and route is Route.RESPONSES,
            restarts_on_interrupt=client_options.retries.on_interrupt == "restart",
            dropped_parameters=dropped_parameters,
            kept_items=kept_items,
        ),
        url="/responses",
        headers={**headers, **encoding, **_members(options.headers)},
        json_data=None,
        extra_json=None,
        content=content,
        post_parser=_keep_items_subscriptable(options.post_parser),
    )


def _apply_policy(client_options: ClientOptions, shaped: ShapedRequest) -> tuple[str, ...] | None:
    """Return the names of dropped parameters (None if dropping is off), or raise the error that names all rejected."""
    drops = client_options.unsupported == "drop"
    rejected = shaped.not_droppable if drops else (*shaped.not_droppable, *shaped.droppable)
    if rejected:
        raise _unsupported_parameters(rejected, can_drop=not shaped.not_droppable)
    if not drops:
        return None
    for parameter in shaped.droppable:
        _log.warning("codex_backend_sdk dropped `%s`: the Codex backend does not support it.", parameter.name)
    return tuple(parameter.name for parameter in shaped.droppable)


def _fits_into_header(value: Any) -> bool:
    return isinstance(value, str) and value.isascii() and value.isprintable() and value == value.strip()


def reject_websocket(url: str) -> None:
    """Raise UnsupportedEndpointError for a WebSocket handshake, which bypasses `prepare`."""
    if url.startswith(("ws://", "wss://")):
        name = url.partition("?")[0].rstrip("/").rpartition("/")[2]
        raise _unsupported_endpoint(f"{name}.connect", "Use `client.responses.create(..., stream=True)`.")


def reject_resource(resource: str) -> NoReturn:
    """Raise UnsupportedEndpointError for a resource by its name."""
    raise _unsupported_endpoint(resource, "")


def _unsupported_endpoint(resource: str, alternative: str) -> UnsupportedEndpointError:
    hint = alternative or "Supported resources: `responses`, `models` and those of `client.codex`."
    return UnsupportedEndpointError(
        f"The Codex backend does not support `{resource}`. Nothing was sent. {hint}", resource=resource
    )


def _unsupported_parameters(
    rejected: Sequence[RejectedParameter], *, can_drop: bool
) -> CodexBackendUnsupportedParameterError:
    names = ", ".join(f"`{parameter.name}`" for parameter in rejected)
    remedies = "".join(f" For `{name}`: {remedy}." for name, remedy in rejected if remedy)
    omit = "Omit it" if len(rejected) == 1 else "Omit them"
    drop = f" {omit}, or construct the client with `unsupported='drop'`." if can_drop else ""
    return CodexBackendUnsupportedParameterError(
        f"The Codex backend does not support {names}. Nothing was sent.{remedies}{drop}",
        parameters=[parameter.name for parameter in rejected],
    )


def _keep_items_subscriptable(parser: Any) -> Any:
    """Wrap the parser of `parse()`, which builds new objects for the response and its items."""
    if isinstance(parser, NotGiven):
        return parser

    def parse(raw: Any) -> Any:
        parsed = parser(raw)
        make_response_subscriptable(parsed)
        return parsed

    return parse


def _members(value: Any) -> Mapping[str, Any]:
    return {} if value is None or isinstance(value, (NotGiven, Omit)) else value
