"""Explain a call without sending it: `client.codex.explain(...)`.

The parameters pass through the same functions as in a real call, up to the point where it would be sent, so an
explanation always matches the behavior of a call. Nothing is sent, no token is refreshed and no file is read.

An explanation reports what this client itself rejects, drops and changes. It does not predict which values the backend
rejects: such tables go out of date, and the error of the backend is more precise.

Invariants: an explanation never contains a token, and it shows the value of a header only if the name of the header is
in the allowlist `_SHOWN_HEADERS`.
"""

from __future__ import annotations

import inspect
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from openai.resources.responses import Responses as OfficialResponses

from .._catalog import first_listed_id
from .._coerce import as_count, as_mapping
from .._constants import DEFAULT_MODEL
from .._json import decode
from .._redaction import redact_data
from .._request.compression import plain_content
from .._request.input_items import shape_item
from .._request.prepare import has_automatic_model, prepare
from .._request.shaping import is_absent, shape, to_json_data
from .._upstream import FinalRequestOptions
from ..types import Login, Secret
from .explain_report import Explanation, Finding, PreparedRequest, estimate_tokens
from .responses import Responses

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from .._options import ClientOptions
    from .._request.shaping import ShapedRequest

__all__ = ["apply_policy", "explain"]

_HIDDEN: Final = "…"
_PLACEHOLDER_TOKEN: Final = Secret("hidden")
# Prefixes of the names of headers that contain no secret, whether the client or the caller sets them.
_SHOWN_HEADERS: Final = (
    "accept", "connection", "content-", "host", "chatgpt-account-id", "openai-", "originator", "session-id",
    "thread-id", "user-agent", "x-client-request-id", "x-codex-", "x-openai-", "x-stainless-",
)  # fmt: skip


def explain(client: Any, parameters: Mapping[str, Any]) -> Explanation:
    """Explain a call with these parameters. Reads no file, waits for nothing and sends nothing.

    `client` is an `OpenAI` or `AsyncOpenAI`, whose classes this layer cannot import.
    """
    known_names = inspect.signature(OfficialResponses.create).parameters
    options = _record_options(client, {name: value for name, value in parameters.items() if name in known_names})
    findings, accepted = apply_policy(
        {**as_mapping(options.json_data), **as_mapping(options.extra_json)},
        client._codex,
        unknown_names=[name for name in parameters if name not in known_names],
    )
    if accepted is None:
        return Explanation(model=client._codex.model, prepared_request=None, findings=_redacted(findings, None))
    login = client.credentials.ready()
    catalog = client._catalog.get(login) or ()
    if has_automatic_model(options, client._codex):
        accepted["model"] = first_listed_id(catalog) or DEFAULT_MODEL
        findings.append(_automatic_model_finding(accepted["model"], is_known=bool(catalog)))
    request = _prepare_request(client, options, accepted, login)
    findings += _placement_findings(client, accepted, request.body)
    model = str(request.body["model"])
    tokens = estimate_tokens(request.body)
    window = next((as_count(entry.get("context_window")) for entry in catalog if entry.get("id") == model), None)
    if window is not None and tokens.likely > window:
        message = f"The input is probably too long for `{model}`."
        reason = f"It has {tokens}; the context window has {window:,}."
        remedy = "Shorten the input, or compact it with `client.responses.compact(...)`."
        findings.append(Finding(level="warning", what=message, why=reason, remedy=remedy))
    return Explanation(
        model=model,
        prepared_request=None if any(finding.level == "refused" for finding in findings) else request,
        findings=_redacted((*findings, *_login_findings(client, login)), login),
        tokens=tokens,
        context_window=window,
    )


def _redacted(findings: Iterable[Finding], login: Login | None) -> tuple[Finding, ...]:
    """Redact findings, which contain texts of the backend, such as the ID of a model."""
    secrets = () if login is None else (login.access_token.reveal(),)
    return tuple(redact_data(finding, secrets) for finding in findings)


def _record_options(client: Any, parameters: dict[str, Any]) -> FinalRequestOptions:
    """Return the request options that the method of openai builds, without sending a request."""
    recorded: list[FinalRequestOptions] = []

    def post(path: str, *, body: Any, options: Mapping[str, Any], **_unused: Any) -> None:
        recorded.append(FinalRequestOptions.construct(method="post", url=path, json_data=body, **options))

    resource: Any = Responses(client)
    resource._post = post
    resource.create(**parameters)
    return recorded[0]


def _prepare_request(
    client: Any, options: FinalRequestOptions, accepted: dict[str, Any], login: Login | None
) -> PreparedRequest:
    options.json_data, options.extra_json = accepted, None
    prepared = prepare(
        options,
        client._codex,
        client._compression,
        client._instructions,
        login=login,
        is_streamed=bool(accepted.get("stream")),
    )
    # The request never contains the real access token, so that no later change can show it by mistake.
    login = replace(login or Login(access_token=_PLACEHOLDER_TOKEN, account_id=None), access_token=_PLACEHOLDER_TOKEN)
    signed = client._set_login(prepared, login)
    request = client._build_request(signed)
    if signed.context.uses_websocket:  # the same body, shown as it would be sent over HTTP
        request = signed.context.body.add_to(request)
    body = plain_content(request)
    # The URL is shown without the user's password and the values of the query, which may be secrets.
    url = f"{request.url.scheme}://{request.url.netloc.decode()}{request.url.path}"
    return PreparedRequest(
        method=request.method,
        url=f"{url}?{_HIDDEN}" if request.url.query else url,
        headers={
            name: value if name.lower().startswith(_SHOWN_HEADERS) else _HIDDEN
            for name, value in request.headers.items()
        },
        body=decode(body),
        plain_bytes=len(body),
        sent_bytes=len(request.content),
        encoding=request.headers.get("content-encoding"),
        transport="websocket" if signed.context.uses_websocket else "http",
    )


def _placement_findings(client: Any, accepted: Mapping[str, Any], body: Mapping[str, Any]) -> Iterator[Finding]:
    if accepted.get("instructions", client._codex.instructions) and "instructions" not in body:
        message = "The client sends the instructions as the first message of the input."
        reason = f"The prompt cache of `{body['model']}` misses the parameter."
        yield Finding(level="changed", what=message, why=reason)
    if "prompt_cache_key" in body and "prompt_cache_key" not in accepted:
        message = "The client adds a `prompt_cache_key`, which is the same for all calls of a conversation."
        yield Finding(level="changed", what=message)


def _automatic_model_finding(model: str, *, is_known: bool) -> Finding:
    if is_known:
        return Finding(level="changed", what=f"The model `auto` is the first one of the catalog: `{model}`.")
    message = f"The call requests the model catalog and uses its first model. This explanation shows `{model}`."
    return Finding(level="note", what=message, remedy="Call `client.models.list()` first.")


def _login_findings(client: Any, login: Login | None) -> Iterator[Finding]:
    routing = None if login is None else client._routing.get(login, backend=str(client.base_url))
    if login is None:
        message = (
            "No login is loaded yet. The headers have no account ID, and the derived prompt cache key is not final."
        )
        yield Finding(level="note", what=message, remedy="Call `client.authenticate()` first.")
    elif routing is None:
        yield Finding(level="note", what="The first call requests the backend URL of the workspace.")
    elif routing.origin is not None:
        yield Finding(level="changed", what=f"The requests of this workspace go to {routing.origin}.")


def apply_policy(
    parameters: Mapping[str, Any], options: ClientOptions, *, unknown_names: Sequence[str] = ()
) -> tuple[list[Finding], dict[str, Any] | None]:
    """Apply the parameter policy. Return the findings, and the parameters to send (None if the call is invalid).

    `unknown_names` are parameters that the method does not have. An iterator among the parameters is consumed.
    """
    reason, remedy = "Python raises a TypeError.", "Check the spelling. To send it anyway, put it in `extra_body`."
    findings = [
        Finding(level="refused", what=f"`responses.create()` has no parameter `{name}`.", why=reason, remedy=remedy)
        for name in unknown_names
    ]
    try:
        present = {name: to_json_data(value, name) for name, value in parameters.items() if not is_absent(value)}
        shaped = shape(present, model=options.model, instructions=options.instructions)
    except (TypeError, ValueError) as error:
        return [*findings, Finding(level="refused", what="The call is not valid.", why=str(error))], None
    rejected = {parameter.name for parameter in (*shaped.not_droppable, *shaped.droppable)}
    findings += _policy_findings(shaped, drops_unsupported=options.unsupported == "drop")
    findings += _change_findings(present, shaped.body, rejected)
    if "input" not in present:  # a rejected parameter replaces it
        return findings, None
    return findings, {name: value for name, value in present.items() if name not in rejected}


def _policy_findings(shaped: ShapedRequest, *, drops_unsupported: bool) -> Iterator[Finding]:
    for parameter in (*shaped.not_droppable, *shaped.droppable):
        name = parameter.name
        message = f"The backend does not accept `{name}`."
        remedy = f"{parameter.remedy[0].upper()}{parameter.remedy[1:]}." if parameter.remedy else None
        if parameter in shaped.not_droppable:
            reason = "The client never drops it, because the call would have another meaning without it."
            yield Finding(level="refused", what=message, why=reason, remedy=remedy)
        elif drops_unsupported:
            reason = "The backend does not accept it, and this client has `unsupported='drop'`."
            yield Finding(level="dropped", what=f"The client drops `{name}`.", why=reason, remedy=remedy)
        else:
            reason = f"It would return 400 `Unsupported parameter: {name}`."
            drop = "Drop it, or let the client drop it with `OpenAI(unsupported='drop')`."
            yield Finding(level="refused", what=message, why=reason, remedy=f"{drop} {remedy or ''}".rstrip())


def _change_findings(present: Mapping[str, Any], body: Mapping[str, Any], rejected: set[str]) -> Iterator[Finding]:
    if "model" not in present:
        yield Finding(level="changed", what=f"The client uses its default model: `{body['model']}`.")
    if "instructions" not in present and "instructions" in body:
        yield Finding(level="changed", what="The client sends its default instructions.")
    for name in sorted(present.keys() - body.keys() - rejected - {"instructions"}):
        yield Finding(level="note", what=f"The client drops `{name}`, because its value is the default.")
    items = present.get("input", [])
    counts = Counter(map(_item_change, items if isinstance(items, list) else [items]))
    for change, finding in _ITEM_CHANGES.items():
        if counts[change]:
            yield replace(finding, what=finding.what.format(counts[change]))


# Each text has a placeholder for the number of items. The backend rejects all of these forms. It stores no reasoning
# items, so it cannot look one up by its ID.
_ITEM_CHANGES: Final = {
    "text": Finding(level="changed", what="The client sends strings in `input` as user messages (items: {})."),
    "role": Finding(level="changed", what="The client sends system messages with the role `developer` (items: {})."),
    "reasoning": Finding(
        level="changed", what="The client removes the status and the content of reasoning items (items: {})."
    ),
    "web_search_call": Finding(
        level="dropped",
        what="The client drops web searches without an action that the backend accepts (items: {}).",
        why="The backend rejects them, even if it returned them itself.",
    ),
    "dropped": Finding(
        level="dropped",
        what="The client drops reasoning items without encrypted content (items: {}).",
        why="The backend rejects them.",
        remedy="Pass reasoning items unchanged. This client always requests their encrypted content.",
    ),
}


def _item_change(item: Any) -> str | None:
    """Return the key in `_ITEM_CHANGES` for what `shape_item` does to an item, or None if there is no finding."""
    if isinstance(item, str):
        return "text"
    shaped = shape_item(item)
    if shaped is None:
        return "web_search_call" if item["type"] == "web_search_call" else "dropped"
    if item.get("role") == "system" and shaped["role"] != "system":
        return "role"
    is_shortened = item.get("type") == "reasoning" and ("status" in item or "content" in item)
    return "reasoning" if is_shortened else None
