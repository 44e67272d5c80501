"""Parse the routing of a workspace from the response of `GET /wham/accounts/check`.

Some workspaces have a dedicated backend, or require a header on every request, so that their data stays in a region
(OpenAI's help, "Data residency for ChatGPT"). The access token is sent to the origin that the response names, so these
rules of this package decide which origins are allowed:

- The origin is https, without path or user name. If the response came from OpenAI, so must the host be OpenAI's.
- A loopback backend may name only a loopback origin.
- Any other backend is a gateway, which all requests must go through, so there is no lookup.

This module has no I/O, clock or randomness. Wire source: Codex CLI,
app-server/src/request_processors/account_processor/workspace_routing.rs and backend-client/src/types.rs. The CLI
accepts any https origin and looks up every account.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import SplitResult, urlsplit

from .._coerce import as_list, as_mapping, parse_json_object
from .._urls import LOOPBACK_HOSTS, require_https_or_loopback
from ..types import Routing, Workspace

if TYPE_CHECKING:
    from ..types import Login

__all__ = ["RoutingProblem", "apply_routing", "needs_lookup", "parse_routing", "parse_workspaces"]

_NO_CONSTRAINT: Final = "NO_CONSTRAINT"
# The overrides of the wire, and the header value of each.
_OVERRIDES: Final = {_NO_CONSTRAINT: None, "us": "us", "us_cr": "us_cr"}
_OVERRIDE_HEADER: Final = "x-openai-account-routing-override"  # Codex CLI: model-provider/src/workspace_routing.rs
_OPENAI_DOMAINS: Final = ("chatgpt.com", "openai.com")
# Personal plans have no data residency, so they need no lookup. Unknown plans are looked up. The names are from the
# Codex CLI, protocol/src/auth.rs.
_PERSONAL_PLANS: Final = frozenset({"free", "go", "plus", "pro", "prolite", "promax"})


class RoutingProblem(Enum):
    """The reason why the routing in a response is rejected. The value is a clause for the log message."""

    NO_ENTRY = "the response has no valid entry for this account"
    DUPLICATE = "the response has contradictory entries for this account"
    NO_ORIGIN = "the response has no origin for this account"
    INVALID_ORIGIN = "the origin in the response is not https, has an invalid host, or has a path or a user name"
    FOREIGN_ORIGIN = "the origin in the response does not belong to OpenAI (to use it anyway, set `base_url`)"
    UNKNOWN_OVERRIDE = "the response has an unknown routing override"


def needs_lookup(login: Login, *, backend: str) -> bool:
    """Return whether the requests of this login may need a different origin or an additional header."""
    if not login.account_id:
        return False
    if login.plan in _PERSONAL_PLANS and login.residency is None and not login.is_fedramp:
        return False
    host = urlsplit(backend).hostname or ""
    return host in LOOPBACK_HOSTS or _is_openai_host(host)


def parse_workspaces(body: object) -> list[Workspace]:
    """Return the workspaces in a response. Skip entries without an ID.

    `accounts` is a list, or a mapping keyed by ID. Entries of a mapping are ignored if `account_ordering` does not list
    them.
    """
    response = as_mapping(body)
    accounts = response.get("accounts")
    if isinstance(accounts, dict):
        account_ids = [name for name in as_list(response.get("account_ordering")) if isinstance(name, str)]
        accounts = [as_mapping(accounts.get(account_id)).get("account") for account_id in account_ids]
    entries = [entry for entry in as_list(accounts) if isinstance(entry, dict)]
    workspaces = [_parse_workspace(entry, response.get("default_account_id")) for entry in entries]
    return [workspace for workspace in workspaces if workspace is not None]


def parse_routing(body: bytes, *, account_id: str, backend: str) -> Routing | RoutingProblem:
    """Return the routing of an account from a response of `backend`, or the problem with it."""
    workspaces = [
        workspace for workspace in parse_workspaces(parse_json_object(body)) if workspace.account_id == account_id
    ]
    # Duplicate entries broke the Codex CLI for some users. They are harmless unless they contradict each other.
    routings = {(workspace.backend_origin, workspace.routing_override) for workspace in workspaces}
    if len(routings) != 1:
        return RoutingProblem.DUPLICATE if routings else RoutingProblem.NO_ENTRY
    raw_origin, override = routings.pop()
    if override not in _OVERRIDES:
        return RoutingProblem.UNKNOWN_OVERRIDE
    origin = _allowed_origin(raw_origin, urlsplit(backend))
    return origin if isinstance(origin, RoutingProblem) else Routing(origin=origin, override=_OVERRIDES[override])


def apply_routing(routing: Routing, *, backend: str, path: str) -> tuple[str, dict[str, str]]:
    """Return the URL and the additional headers of a request for a path of the backend."""
    base = urlsplit(backend)
    url = path if routing.origin is None else f"{routing.origin}{base.path.rstrip('/')}{path}"
    return url, {} if routing.override is None else {_OVERRIDE_HEADER: routing.override}


def _allowed_origin(origin: str | None, backend: SplitResult) -> str | RoutingProblem | None:
    """Return the origin for requests, None to keep the origin of `backend`, or the problem.

    This is a security check: the access token is sent to the returned origin.
    """
    if origin == _NO_CONSTRAINT:
        return None
    if origin is None:
        return RoutingProblem.NO_ORIGIN
    try:
        target = urlsplit(require_https_or_loopback(origin, name="the origin"))
    except ValueError:
        return RoutingProblem.INVALID_ORIGIN
    is_downgrade = target.scheme == "http" and backend.scheme != "http"
    if target.path or is_downgrade:
        return RoutingProblem.INVALID_ORIGIN
    if _origin_key(target) == _origin_key(backend):
        return None
    host = target.hostname or ""
    if backend.hostname in LOOPBACK_HOSTS:
        # A loopback backend must not redirect a real access token to another host.
        return f"{target.scheme}://{target.netloc}" if host in LOOPBACK_HOSTS else None
    if not _is_openai_host(host):
        return RoutingProblem.FOREIGN_ORIGIN
    # httpx2 decodes the labels of an international name, and raises an error for an invalid one.
    has_encoded_label = any(label.startswith("xn--") for label in host.split("."))
    return RoutingProblem.INVALID_ORIGIN if has_encoded_label else f"{target.scheme}://{target.netloc}"


def _origin_key(url: SplitResult) -> tuple[str, str | None, int]:
    return url.scheme, url.hostname, url.port or (443 if url.scheme == "https" else 80)


def _is_openai_host(host: str) -> bool:
    return any(host == domain or host.endswith(f".{domain}") for domain in _OPENAI_DOMAINS)


def _parse_workspace(entry: dict[str, Any], default_account_id: object) -> Workspace | None:
    account_id = _nonempty_text(entry.get("id")) or _nonempty_text(entry.get("account_id"))
    if account_id is None:
        return None
    return Workspace(
        account_id=account_id,
        name=_nonempty_text(entry.get("name")),
        plan=_nonempty_text(entry.get("plan_type")),
        structure=_nonempty_text(entry.get("structure")),
        is_default=account_id == default_account_id,
        backend_origin=_nonempty_text(entry.get("workspace_backend_origin")),
        routing_override=_nonempty_text(entry.get("account_routing_override")),
    )


def _nonempty_text(value: object) -> str | None:
    # Unlike `as_text`, this does not strip whitespace, because an origin with a space is invalid.
    return value if isinstance(value, str) and value else None
