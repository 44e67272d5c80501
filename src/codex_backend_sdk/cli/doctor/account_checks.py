"""What the backend says of the account: its models, its limits, and where its requests have to go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .probe import asked
from .result import ok, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ... import OpenAI
    from .result import Outcome, Scene

__all__ = ["check_limits", "check_models", "check_routing"]


def check_models(scene: Scene) -> Iterator[Outcome]:
    """Say how many models there are, and whether the default is one of them."""
    yield from asked(scene, _models)


def check_limits(scene: Scene) -> Iterator[Outcome]:
    """Say how much of the plan is used."""
    yield from asked(scene, _limits, failed=warning)


def check_routing(scene: Scene) -> Iterator[Outcome]:
    """Say whether the requests of this workspace go elsewhere."""
    yield from asked(scene, _routing, failed=warning)


def _models(scene: Scene, client: OpenAI) -> Outcome:
    models = client.models.list().data
    scene.client = client
    default = client._codex.model
    if any(model.id == default for model in models):
        return ok(f"This account has {len(models)} models; the default, `{default}`, is one of them.")
    offered = ", ".join(model.id for model in models if model.visibility != "hide")
    return warning(
        f"This account has {len(models)} models; the default, `{default}`, is not one of them.",
        f"Name one with `model=`: {offered}." if offered else None,
    )


def _limits(scene: Scene, client: OpenAI) -> Outcome:
    limits = client.codex.refresh_limits()
    if limits.is_exhausted or limits.exhausted_window is not None:
        return warning(f"{limits}.", "https://chatgpt.com/settings/usage shows and extends it.")
    return ok(f"{limits}.")


def _routing(scene: Scene, client: OpenAI) -> Outcome:
    from ..._json import encode
    from ..._routing.resolver import ACCOUNTS
    from ..._routing.workspace_parsing import Unusable, is_asked, read_routing

    login, backend = client.credentials.ready(), str(client.base_url)
    if login is None or not is_asked(login, backend=backend):
        return ok("The requests of this account go to the backend above.")
    answer = encode(client.get(ACCOUNTS, cast_to=object))
    found = read_routing(answer, account_id=login.account_id or "", backend=backend)
    if isinstance(found, Unusable):
        return warning(
            f"The backend was asked where this workspace's requests go, and {found.value}. They go to the one above.",
            "If calls are refused, ask the administrator of the workspace.",
        )
    client._routing.keep(found, login, backend=backend)
    override = f", with the word `{found.override}`" if found.override else ""
    return ok(f"The requests of this workspace go to {found.origin or 'the backend above'}{override}.")
