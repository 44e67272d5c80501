"""Parse where the requests of a workspace must go, from the response of `GET /wham/accounts/check`. Pure.

Some workspaces have a backend of their own, or require a header on every request, so that their data stays in a region
(OpenAI's help, "Data residency for ChatGPT"). The access token is sent to the place that the response names, so these
rules decide which places are acceptable:

- the place is an https origin: no path, no user name, and one of OpenAI's hosts if the response came from OpenAI;
- a backend on this machine may only name this machine;
- any other backend is a gateway, which all requests must go through, so there is no lookup.

Wire source: Codex CLI, app-server/src/request_processors/account_processor/workspace_routing.rs and
backend-client/src/types.rs. The CLI accepts any https origin and looks up every account.
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
_OVERRIDES: Final = {_NO_CONSTRAINT: None, "us": "us", "us_cr": "us_cr"}
_OVERRIDE_HEADER: Final = "x-openai-account-routing-override"  # Codex CLI: model-provider/src/workspace_routing.rs
_OPENAI_DOMAINS: Final = ("chatgpt.com", "openai.com")
# Personal plans have no data residency, so they need no lookup. Plans that are unknown here get one. The names are from
# the Codex CLI, protocol/src/auth.rs.
_PERSONAL_PLANS: Final = frozenset({"free", "go", "plus", "pro", "prolite", "promax"})


class RoutingProblem(Enum):
    """Why a response cannot be followed, as part of a sentence."""

    NO_ENTRY = "the response has no entry for this account"
    DUPLICATE = "the response has contradictory entries for this account"
    NO_ORIGIN = "the response has no origin for this account"
    INVALID_ORIGIN = "the origin in the response is not https, or has a path or a user name"
    FOREIGN_ORIGIN = "the origin in the response does not belong to OpenAI (set `base_url=` to use it anyway)"
    UNKNOWN_OVERRIDE = "the response has an unknown routing override"


def needs_lookup(login: Login, *, backend: str) -> bool:
    """Return whether the requests of this login may have to go elsewhere than to this backend."""
    if not login.account_id:
        return False
    if login.plan in _PERSONAL_PLANS and login.residency is None and not login.is_fedramp:
        return False
    host = urlsplit(backend).hostname or ""
    return host in LOOPBACK_HOSTS or _is_openai_host(host)


def parse_workspaces(body: object) -> list[Workspace]:
    """Return the workspaces in a response.

    `accounts` is a list, or a mapping by id of which only the ids in `account_ordering` count.
    """
    members = as_mapping(body)
    accounts = members.get("accounts")
    if isinstance(accounts, dict):
        ids = [name for name in as_list(members.get("account_ordering")) if isinstance(name, str)]
        accounts = [as_mapping(accounts.get(name)).get("account") for name in ids]
    entries = [entry for entry in as_list(accounts) if isinstance(entry, dict)]
    workspaces = [_workspace(entry, members.get("default_account_id")) for entry in entries]
    return [workspace for workspace in workspaces if workspace.account_id]


def parse_routing(body: bytes, *, account_id: str, backend: str) -> Routing | RoutingProblem:
    """Return the routing of an account from a response of `backend`."""
    workspaces = [
        workspace for workspace in parse_workspaces(parse_json_object(body)) if workspace.account_id == account_id
    ]
    # Duplicate entries broke the Codex CLI for some users. They are harmless unless they contradict each other.
    places = {(workspace.backend_origin, workspace.routing_override) for workspace in workspaces}
    if len(places) != 1:
        return RoutingProblem.DUPLICATE if places else RoutingProblem.NO_ENTRY
    named_origin, override = places.pop()
    if override not in _OVERRIDES:
        return RoutingProblem.UNKNOWN_OVERRIDE
    origin = _acceptable_origin(named_origin, urlsplit(backend))
    return origin if isinstance(origin, RoutingProblem) else Routing(origin=origin, override=_OVERRIDES[override])


def apply_routing(routing: Routing, *, backend: str, path: str) -> tuple[str, dict[str, str]]:
    """Return the URL and the extra headers of a request for a path of the backend."""
    base = urlsplit(backend)
    url = path if routing.origin is None else f"{routing.origin}{base.path.rstrip('/')}{path}"
    return url, {} if routing.override is None else {_OVERRIDE_HEADER: routing.override}


def _acceptable_origin(origin: str | None, backend: SplitResult) -> str | RoutingProblem | None:
    """Return the origin to send requests to, None to stay at the backend. This decides where the token goes."""
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
        # A test backend must not be able to send a real login anywhere.
        return f"{target.scheme}://{target.netloc}" if host in LOOPBACK_HOSTS else None
    return f"{target.scheme}://{target.netloc}" if _is_openai_host(host) else RoutingProblem.FOREIGN_ORIGIN


def _origin_key(url: SplitResult) -> tuple[str, str | None, int]:
    return url.scheme, url.hostname, url.port or (443 if url.scheme == "https" else 80)


def _is_openai_host(host: str) -> bool:
    return any(host == domain or host.endswith(f".{domain}") for domain in _OPENAI_DOMAINS)


def _workspace(entry: dict[str, Any], default_account_id: object) -> Workspace:
    account_id = _text(entry.get("id")) or _text(entry.get("account_id")) or ""
    return Workspace(
        account_id=account_id,
        name=_text(entry.get("name")),
        plan=_text(entry.get("plan_type")),
        structure=_text(entry.get("structure")),
        is_default=account_id == default_account_id,
        backend_origin=_text(entry.get("workspace_backend_origin")),
        routing_override=_text(entry.get("account_routing_override")),
    )


def _text(value: object) -> str | None:
    # Not `as_text`, which strips whitespace: an origin with a space is invalid and must stay so.
    return value if isinstance(value, str) and value else None
