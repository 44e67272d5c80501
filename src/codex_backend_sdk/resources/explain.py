"""What `client.responses.create()` would do, found out on the way that a call takes, up to where it would be sent."""

from __future__ import annotations

import inspect
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Protocol

import httpx2
from openai.resources.responses import Responses as OfficialResponses

from .._json import decode
from .._request.compression import plain_body
from .._request.prepare import prepare
from .._upstream import FinalRequestOptions
from ..types import Login, Secret
from .explain_parameters import examine
from .explanation import Explanation, Finding, PreparedRequest
from .known_refusals import known_refusals
from .model_fit import context_window, fit
from .responses import Responses
from .token_estimate import estimate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._catalogue import CatalogueCache
    from .._request.compression import Compression
    from .._routing.resolver import WorkspaceRouting
    from .._upstream import PreparedOptions
    from ..auth import CredentialSource
    from ..types import Settings

__all__ = ["explain"]

_HIDDEN: Final = "…"
_NO_TOKEN: Final = Secret("hidden")
# Header names whose value is no secret, whoever gave it. All others are named only.
_SHOWN: Final = (
    "accept",
    "connection",
    "content-",
    "host",
    "chatgpt-account-id",
    "openai-",
    "originator",
    "session-id",
    "user-agent",
    "x-client-request-id",
    "x-codex-",
    "x-openai-",
    "x-stainless-",
)


class _Client(Protocol):
    """The parts of our clients that a call passes before it is sent."""

    base_url: httpx2.URL
    credentials: CredentialSource
    _codex: Settings
    _compression: Compression
    _catalogue: CatalogueCache
    _routing: WorkspaceRouting

    def _with_login(self, options: PreparedOptions, login: Login) -> PreparedOptions: ...

    def _build_request(self, options: PreparedOptions) -> httpx2.Request: ...


def explain(client: _Client, params: Mapping[str, Any]) -> Explanation:
    """Explain a call with these parameters. Nothing is read, waited for or sent."""
    unknown = [name for name in params if name not in _parameters()]
    options = _official_options(client, {name: value for name, value in params.items() if name not in unknown})
    settings = client._codex
    examined = examine(
        {**_mapping(options.json_data), **_mapping(options.extra_json)},
        unknown=unknown,
        model=settings.model,
        instructions=settings.instructions,
        drops=settings.unsupported == "drop",
    )
    if examined.accepted is None:
        return Explanation(model=settings.model, prepared_request=None, findings=examined.findings)
    login = client.credentials.ready()
    sent = _request(client, options, examined.accepted, login or Login(access_token=_NO_TOKEN, account_id=None))
    body = dict(sent.body)
    catalogue = client._catalogue.of(login)
    tokens = estimate(body)
    return Explanation(
        model=str(body["model"]),
        prepared_request=None if examined.is_refused else sent,
        findings=(
            *examined.findings,
            *known_refusals(body, {name.lower(): value for name, value in sent.headers.items()}),
            *fit(body, catalogue, tokens=tokens),
            *_of_the_login(client, login),
        ),
        tokens=tokens,
        context_window=context_window(body["model"], catalogue),
    )


_NO_LOGIN: Final = Finding(
    level="note",
    what="The account is not among the headers: no login is loaded yet.",
    remedy="Call `client.authenticate()` first.",
)
_NOT_ROUTED: Final = Finding(
    level="note",
    what="This workspace may have a backend of its own: the first call asks, and goes there.",
)


def _of_the_login(client: _Client, login: Login | None) -> list[Finding]:
    if login is None:
        return [_NO_LOGIN]
    routing = client._routing.known(login, backend=str(client.base_url))
    if routing is None:
        return [_NOT_ROUTED]
    if routing.origin is None:
        return []
    return [Finding(level="changed", what=f"The requests of this workspace go to {routing.origin}.")]


class _Unsent(Responses):
    """The official resource, which hands out its request instead of sending it."""

    def __init__(self, client: Any) -> None:
        super().__init__(client)
        self.options = FinalRequestOptions.construct(method="post", url="/responses")
        self._post = self._keep  # type: ignore[assignment]  # what the official methods send with

    def _keep(self, path: str, *, body: Any, options: Mapping[str, Any], **how: Any) -> None:
        self.options = FinalRequestOptions.construct(method="post", url=path, json_data=body, **options)


def _official_options(client: _Client, params: dict[str, Any]) -> FinalRequestOptions:
    unsent = _Unsent(client)
    unsent.create(**params)
    return unsent.options


@cache
def _parameters() -> frozenset[str]:
    return frozenset(inspect.signature(OfficialResponses.create).parameters) - {"self"}


def _request(client: _Client, options: FinalRequestOptions, accepted: dict[str, Any], login: Login) -> PreparedRequest:
    options.json_data, options.extra_json = accepted, None
    ready = prepare(options, client._codex, client._compression, streamed=bool(accepted.get("stream")))
    request = client._build_request(client._with_login(ready, replace(login, access_token=_NO_TOKEN)))
    plain = plain_body(request)
    return PreparedRequest(
        method=request.method,
        url=_shown_url(request.url),
        headers={name: value if _is_shown(name) else _HIDDEN for name, value in request.headers.items()},
        body=decode(plain),
        plain_bytes=len(plain),
        sent_bytes=len(request.content),
        encoding=request.headers.get("content-encoding"),
    )


def _is_shown(name: str) -> bool:
    return name.lower().startswith(_SHOWN)


def _shown_url(url: httpx2.URL) -> str:
    """Leave out what may be a secret: a password, the values of a query."""
    return f"{url.scheme}://{url.netloc.decode()}{url.path}" + (f"?{_HIDDEN}" if url.query else "")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
