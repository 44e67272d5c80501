"""Where the requests of a workspace have to go, from the answer of `GET /wham/accounts/check`.

Some workspaces have a backend of their own, or want a word with every request, so that what they say stays in a
region. The rules for the place, which is where a token is sent:
- it is an https origin: no path, no user name; one of OpenAI's, when OpenAI's backend was asked;
- a backend on this machine leads to this machine only, whatever it answers;
- any other backend is not asked: who put a gateway there wants the requests to pass it.
Codex CLI: app-server/src/request_processors/account_processor/workspace_routing.rs, backend-client/src/types.rs; it
takes any https origin and asks for every account.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import SplitResult, urlsplit

from .._coerce import parse_json_object
from .._urls import LOOPBACK_HOSTS, require_safe_url
from ..types import Routing, Workspace

if TYPE_CHECKING:
    from ..types import Login

__all__ = ["Unusable", "is_asked", "read_routing", "read_workspaces", "routed"]

_NO_CONSTRAINT: Final = "NO_CONSTRAINT"
_OVERRIDES: Final = {_NO_CONSTRAINT: None, "us": "us", "us_cr": "us_cr"}
_OVERRIDE_HEADER: Final = "x-openai-account-routing-override"  # Codex CLI: model-provider/src/workspace_routing.rs
_OPENAIS: Final = ("chatgpt.com", "openai.com")
# Data residency is for workspaces of other plans (OpenAI's help, "Data residency for ChatGPT"). Plans that are not
# known here are asked about. Codex CLI: protocol/src/auth.rs.
_PERSONAL_PLANS: Final = frozenset({"free", "go", "plus", "pro", "prolite", "promax"})


class Unusable(Enum):
    """Why an answer says nothing that can be followed, in words."""

    NO_ENTRY = "its answer has no entry for this account"
    DUPLICATE = "its answer has entries for this account that contradict each other"
    NO_ORIGIN = "its answer names no origin for this account"
    NOT_AN_ORIGIN = "the origin that it names is not https, or has a path or a user name"
    FOREIGN_ORIGIN = "the origin that it names is not one of OpenAI's (`base_url=` is for going there all the same)"
    UNKNOWN_OVERRIDE = "it names a routing override that is not known here"


def is_asked(login: Login, *, backend: str) -> bool:
    """Whether this backend has to be asked where the requests of this login go."""
    if not login.account_id:
        return False
    if login.plan in _PERSONAL_PLANS and login.residency is None and not login.is_fedramp:
        return False
    host = urlsplit(backend).hostname or ""
    return host in LOOPBACK_HOSTS or _is_openais(host)


def read_workspaces(answer: object) -> list[Workspace]:
    """Return the accounts of an answer: of a list all, of a map those that `account_ordering` has."""
    accounts, ordering = _member(answer, "accounts"), _member(answer, "account_ordering")
    if isinstance(accounts, dict):
        ids = ordering if isinstance(ordering, list) else []
        accounts = [_member(accounts.get(name), "account") for name in ids if isinstance(name, str)]
    entries = accounts if isinstance(accounts, list) else []
    found = [_workspace(entry, _member(answer, "default_account_id")) for entry in entries if isinstance(entry, dict)]
    return [workspace for workspace in found if workspace.account_id]


def read_routing(body: bytes, *, account_id: str, backend: str) -> Routing | Unusable:
    """Return what an answer of `backend` says of an account."""
    mine = [workspace for workspace in read_workspaces(parse_json_object(body)) if workspace.account_id == account_id]
    # An account that is there twice has failed the Codex CLI for some people; where both say the same, it is no matter.
    said = {(workspace.backend_origin, workspace.routing_override) for workspace in mine}
    if len(said) != 1:
        return Unusable.DUPLICATE if said else Unusable.NO_ENTRY
    named, override = said.pop()
    if override not in _OVERRIDES:
        return Unusable.UNKNOWN_OVERRIDE
    origin = _origin(named, urlsplit(backend))
    return origin if isinstance(origin, Unusable) else Routing(origin=origin, override=_OVERRIDES[override])


def routed(routing: Routing, *, backend: str, path: str) -> tuple[str, dict[str, str]]:
    """Return the address and the headers with which a request for a path of the backend is sent."""
    base = urlsplit(backend)
    address = path if routing.origin is None else f"{routing.origin}{base.path.rstrip('/')}{path}"
    return address, {} if routing.override is None else {_OVERRIDE_HEADER: routing.override}


def _origin(named: str | None, here: SplitResult) -> str | Unusable | None:
    if named == _NO_CONSTRAINT:
        return None
    if named is None:
        return Unusable.NO_ORIGIN
    try:
        there = urlsplit(require_safe_url(named, what="the origin"))
    except ValueError:
        return Unusable.NOT_AN_ORIGIN
    is_downgrade = there.scheme == "http" and here.scheme != "http"
    if there.path or is_downgrade:
        return Unusable.NOT_AN_ORIGIN
    return _followed(there, here)


def _followed(there: SplitResult, here: SplitResult) -> str | Unusable | None:
    """Return the origin if it is another one and the way there is open; None stays."""
    host = there.hostname or ""
    if _place(there) == _place(here):
        return None
    if here.hostname in LOOPBACK_HOSTS:
        return f"{there.scheme}://{there.netloc}" if host in LOOPBACK_HOSTS else None
    return f"{there.scheme}://{there.netloc}" if _is_openais(host) else Unusable.FOREIGN_ORIGIN


def _place(url: SplitResult) -> tuple[str, str | None, int]:
    return url.scheme, url.hostname, url.port or (443 if url.scheme == "https" else 80)


def _is_openais(host: str) -> bool:
    return any(host == own or host.endswith(f".{own}") for own in _OPENAIS)


def _workspace(entry: dict[str, Any], default: object) -> Workspace:
    account_id = _text(entry.get("id")) or _text(entry.get("account_id")) or ""
    return Workspace(
        account_id=account_id,
        name=_text(entry.get("name")),
        plan=_text(entry.get("plan_type")),
        structure=_text(entry.get("structure")),
        is_default=account_id == default,
        backend_origin=_text(entry.get("workspace_backend_origin")),
        routing_override=_text(entry.get("account_routing_override")),
    )


def _member(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, dict) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
