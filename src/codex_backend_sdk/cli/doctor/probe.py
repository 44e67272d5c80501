"""How the backend is asked with the login, which is used as it stands: renewing it would change it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .login_checks import find_login
from .result import broken, note, warning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ... import OpenAI
    from ...types import Login
    from .result import Outcome, Scene

__all__ = ["asked", "client_with"]

_SIGN_IN: Final = "`codex-backend login`."


def client_with(scene: Scene, login: Login | None) -> OpenAI:
    """Return a client that is signed in with this login, as long as it is good; all of them know the same routing."""
    from ... import OpenAI
    from ..._routing.resolver import WorkspaceRouting

    with scene.lock:
        scene.routing = scene.routing or WorkspaceRouting()
    return OpenAI(credentials=_AsItStands(login), max_retries=0, timeout=scene.seconds, workspace_routing=scene.routing)


def asked(
    scene: Scene, ask: Callable[[Scene, OpenAI], Outcome], *, failed: Callable[[str], Outcome] = broken
) -> Iterator[Outcome]:
    """Ask with the login, if there is one that is good; what another check tells is not told again.

    `failed` is what it means when the backend answers with an error.
    """
    import openai

    try:
        found = find_login(scene)
    except (openai.OpenAIError, ValueError):
        yield note("Not asked: there is no login that can be used.")
        return
    if found.login is None:
        yield note("Not asked: nobody is signed in.")
        return
    if found.login.expires_at is not None and found.login.expires_at <= scene.clock():
        yield note("Not asked: the access token has ended. The next call renews the login, if it can be renewed.")
        return
    try:
        client = client_with(scene, found.login)
    except ValueError:
        yield note("Not asked: the settings of the network, or of the backend, cannot be used.")
        return
    with client:
        try:
            yield ask(scene, client)
        except _Refused:
            yield _refused(is_renewable=found.is_renewable)
        except openai.APIConnectionError as error:
            yield note(f"Not answered: {error}")
        except openai.OpenAIError as error:
            yield failed(" ".join(str(error).removeprefix("Error code: ").split()))


def _refused(*, is_renewable: bool) -> Outcome:
    what = "The backend refuses the login (401)."
    if is_renewable:
        return warning(what, f"A call renews it once. If that does not help: {_SIGN_IN}")
    return broken(what, _SIGN_IN)


class _Refused(Exception):
    """The backend answered 401."""


class _AsItStands:
    """A login that is used and not renewed."""

    def __init__(self, login: Login | None) -> None:
        self._login = login

    def ready(self) -> Login | None:
        return self._login

    def current(self) -> Login:
        raise _Refused

    def renew(self, rejected: Login) -> Login:
        raise _Refused
