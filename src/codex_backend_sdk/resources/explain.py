"""`client.codex.explain(...)`: what `client.responses.create(...)` would do with these parameters.

The parameters take the same way as those of a real call: the official method turns them into request options, `shape`
applies the parameter policy, `prepare` and the client build the request. Then the way ends: nothing is sent, no login
is renewed and nothing is read from disk. So an explanation cannot drift away from what a call does.

It reports what this client itself refuses, drops and changes. It does not predict which values the backend rejects:
such tables go out of date, and the error of the backend is more precise.

Invariants: an explanation never contains a token, and shows a header value only if its name is on a list of harmless
ones.
"""

from __future__ import annotations

import inspect
from collections import Counter
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from openai.resources.responses import Responses as OfficialResponses

from .._coerce import as_count, as_mapping
from .._json import decode
from .._request.compression import plain_content
from .._request.prepare import prepare
from .._request.shaping import is_absent, shape, shape_item, to_json_data
from .._upstream import FinalRequestOptions
from ..types import Login, Secret
from .explanation import Explanation, Finding, PreparedRequest, estimate_tokens, pluralize
from .responses import Responses

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import httpx2

    from .._catalog import CatalogCache
    from .._options import ClientOptions
    from .._request.compression import Compression
    from .._request.context import PreparedOptions
    from .._request.shaping import ShapedRequest
    from .._routing.resolver import WorkspaceRouting
    from ..auth import CredentialSource
    from .explanation import FindingLevel, TokenEstimate

__all__ = ["Examined", "examine", "explain"]

_HIDDEN: Final = "…"
_NO_TOKEN: Final = Secret("hidden")
# Prefixes of the names of headers that hold no secret, whether the client or the caller sets them.
_SHOWN_HEADERS: Final = (
    "accept", "connection", "content-", "host", "chatgpt-account-id", "openai-", "originator", "session-id",
    "user-agent", "x-client-request-id", "x-codex-", "x-openai-", "x-stainless-",
)  # fmt: skip


class _Client(Protocol):
    """The parts of a client that a call passes through before it is sent."""

    base_url: httpx2.URL
    credentials: CredentialSource
    _codex: ClientOptions
    _compression: Compression
    _catalog: CatalogCache
    _routing: WorkspaceRouting

    def _with_login(self, options: PreparedOptions, login: Login) -> PreparedOptions: ...

    def _build_request(self, options: PreparedOptions) -> httpx2.Request: ...


def explain(client: _Client, params: Mapping[str, Any]) -> Explanation:
    """Explain a call with these parameters. Reads nothing from disk, waits for nothing and sends nothing."""
    unknown = [name for name in params if name not in _official_parameters()]
    options = _capture_options(client, {name: value for name, value in params.items() if name not in unknown})
    client_options = client._codex
    examined = examine(
        {**as_mapping(options.json_data), **as_mapping(options.extra_json)},
        unknown=unknown,
        model=client_options.model,
        instructions=client_options.instructions,
        drops=client_options.unsupported == "drop",
    )
    if examined.accepted is None:
        return Explanation(model=client_options.model, prepared_request=None, findings=examined.findings)
    login = client.credentials.ready()
    request = _prepare_request(client, options, examined.accepted, login)
    tokens = estimate_tokens(request.body)
    model = str(request.body["model"])
    window = _context_window(client._catalog.get(login), model)
    return Explanation(
        model=model,
        prepared_request=None if examined.is_refused else request,
        findings=(*examined.findings, *_window_findings(model, tokens, window), *_login_findings(client, login)),
        tokens=tokens,
        context_window=window,
    )


@cache
def _official_parameters() -> frozenset[str]:
    return frozenset(inspect.signature(OfficialResponses.create).parameters) - {"self"}


class _CapturingResponses(Responses):
    """The resource of a client, except that it keeps the request options instead of sending them."""

    def __init__(self, client: Any) -> None:
        super().__init__(client)
        self.options = FinalRequestOptions.construct(method="post", url="/responses")
        self._post = self._capture  # type: ignore[assignment]  # the official methods send with `self._post`

    def _capture(self, path: str, *, body: Any, options: Mapping[str, Any], **_unused: Any) -> None:
        self.options = FinalRequestOptions.construct(method="post", url=path, json_data=body, **options)


def _capture_options(client: _Client, params: dict[str, Any]) -> FinalRequestOptions:
    resource = _CapturingResponses(client)
    resource.create(**params)
    return resource.options


def _prepare_request(
    client: _Client, options: FinalRequestOptions, accepted: dict[str, Any], login: Login | None
) -> PreparedRequest:
    # The real access token stays out of the request, so that no later change can show it by mistake.
    login = replace(login or Login(access_token=_NO_TOKEN, account_id=None), access_token=_NO_TOKEN)
    options.json_data, options.extra_json = accepted, None
    prepared = prepare(options, client._codex, client._compression, is_streamed=bool(accepted.get("stream")))
    request = client._build_request(client._with_login(prepared, login))
    body = plain_content(request)
    url = request.url
    return PreparedRequest(
        method=request.method,
        # Without the user's password and the values of the query, which may be secrets.
        url=f"{url.scheme}://{url.netloc.decode()}{url.path}" + (f"?{_HIDDEN}" if url.query else ""),
        headers={
            name: value if name.lower().startswith(_SHOWN_HEADERS) else _HIDDEN
            for name, value in request.headers.items()
        },
        body=decode(body),
        plain_bytes=len(body),
        sent_bytes=len(request.content),
        encoding=request.headers.get("content-encoding"),
    )


def _login_findings(client: _Client, login: Login | None) -> Iterator[Finding]:
    if login is None:
        yield Finding(
            level="note",
            what="The headers have no account id, because no login is loaded yet.",
            remedy="Call `client.authenticate()` first.",
        )
        return
    routing = client._routing.get(login, backend=str(client.base_url))
    if routing is None:
        yield Finding(
            level="note",
            what="The workspace may have a backend of its own.",
            why="The first call looks that up and sends the request there.",
        )
    elif routing.origin is not None:
        yield Finding(level="changed", what=f"The requests of this workspace go to {routing.origin}.")


# --- the parameters --------------------------------------------------------------------------------------------------


class Examined(NamedTuple):
    """The findings about the parameters, whether they refuse the call, and what can be sent (None: nothing)."""

    findings: tuple[Finding, ...]
    is_refused: bool
    accepted: dict[str, Any] | None


def examine(
    given: Mapping[str, Any], *, unknown: Sequence[str] = (), model: str, instructions: str, drops: bool
) -> Examined:
    """Apply the parameter policy to the parameters of a call and report what it does. Raises nothing.

    `unknown` names parameters that the method does not have. `drops` is true for a client with `unsupported="drop"`.
    An iterator among the parameters is consumed.
    """
    findings = [
        Finding(
            level="refused",
            what=f"`responses.create()` has no parameter `{name}`.",
            why="Python raises a TypeError.",
            remedy="Check the spelling. Pass a parameter that the official method does not have in `extra_body`.",
        )
        for name in unknown
    ]
    try:
        present = {name: to_json_data(value) for name, value in given.items() if not is_absent(value)}
        shaped = shape(present, model=model, instructions=instructions)
    except (TypeError, ValueError) as error:
        findings.append(Finding(level="refused", what="The call is not valid.", why=str(error)))
        return Examined(tuple(findings), is_refused=True, accepted=None)
    findings += _policy_findings(shaped, drops=drops)
    is_refused = any(finding.level == "refused" for finding in findings)
    refused_names = {refusal.name for refusal in (*shaped.not_droppable, *shaped.droppable)}
    findings += _change_findings(present, shaped.body, refused_names)
    accepted = {name: value for name, value in present.items() if name not in refused_names}
    return Examined(tuple(findings), is_refused, accepted)


def _policy_findings(shaped: ShapedRequest, *, drops: bool) -> Iterator[Finding]:
    for name, remedy in shaped.not_droppable:
        yield Finding(
            level="refused",
            what=f"The backend does not accept `{name}`.",
            why="The call would mean something else without it, so the client never drops it.",
            remedy=f"Instead: {remedy}.",
        )
    for name, remedy in shaped.droppable:
        if drops:
            yield Finding(
                level="dropped",
                what=f"The client drops `{name}`.",
                why="The backend does not accept it, and this client has `unsupported='drop'`.",
                remedy=f"Instead: {remedy}." if remedy else None,
            )
        else:
            yield Finding(
                level="refused",
                what=f"The backend does not accept `{name}`.",
                why=f"It would return 400 `Unsupported parameter: {name}`.",
                remedy="Leave it out, or let the client drop it with `OpenAI(unsupported='drop')`."
                + (f" Or: {remedy}." if remedy else ""),
            )


def _change_findings(present: Mapping[str, Any], body: Mapping[str, Any], refused: set[str]) -> Iterator[Finding]:
    if "model" not in present:
        yield Finding(level="changed", what=f"The call names no model. The client uses its own: `{body['model']}`.")
    if "instructions" not in present and "instructions" in body:
        yield Finding(level="changed", what="The call has no instructions. The client sends its own.")
    for name in sorted(present.keys() - body.keys() - refused - {"instructions"}):
        yield Finding(level="note", what=f"The client leaves `{name}` out, because its value is the default.")
    given = present.get("input")
    if isinstance(given, str):
        yield Finding(level="changed", what="The input is a string. It is sent as a user message.")
        return
    changes = Counter(map(_item_change, given if isinstance(given, list) else [given]))
    for change, (level, noun, what, why) in _ITEM_CHANGES.items():
        if number := changes[change]:
            yield Finding(
                level=level,
                what=f"{pluralize(number, noun)} {what}",
                why=why,
                remedy=_KEEP_REASONING if change == "dropped" else None,
            )


_KEEP_REASONING: Final = (
    "Pass reasoning items exactly as they were received. This client always requests their encrypted content."
)
_ITEM_CHANGES: Final[dict[str, tuple[FindingLevel, str, str, str]]] = {
    "text": ("changed", "string", "in the input: sent as user messages.", ""),
    "role": (
        "changed",
        "message",
        "with the role `system`: sent with the role `developer`.",
        "The backend rejects system messages; the role `developer` means the same.",
    ),
    "status": ("changed", "reasoning item", "with a status: sent without it.", "The backend rejects it."),
    "dropped": (
        "dropped",
        "reasoning item",
        "without encrypted content: dropped.",
        "With `store=false` the backend cannot look the item up and returns `Item with id 'rs_…' not found`.",
    ),
}


def _item_change(item: Any) -> str | None:
    """Return the key of `_ITEM_CHANGES` for what `shape_item` does to an item; None for nothing worth a finding."""
    if isinstance(item, str):
        return "text"
    shaped = shape_item(item)
    if shaped is None:
        return "dropped"
    if item.get("role") == "system" != shaped["role"]:
        return "role"
    return "status" if "status" in item and "status" not in shaped else None


def _context_window(catalogue: Sequence[Mapping[str, Any]] | None, model: str) -> int | None:
    return next((as_count(entry.get("context_window")) for entry in catalogue or () if entry.get("id") == model), None)


def _window_findings(model: str, tokens: TokenEstimate, window: int | None) -> Iterator[Finding]:
    if window is not None and tokens.likely > window:
        yield Finding(
            level="warning",
            what=f"The input is probably too long for `{model}`.",
            why=f"It has {tokens}; the context window has {window:,}.",
            remedy="Shorten the input, or compact it with `client.responses.compact(...)`.",
        )
