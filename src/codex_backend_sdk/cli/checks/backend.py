"""What the backend says: that it is there, what time it is, and with the login which models and limits there are.

The login is used as it stands: renewing it would change it.
"""

from __future__ import annotations

from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from codex_backend_sdk._constants import BACKEND_URL_ENV
from codex_backend_sdk.cli import moments
from codex_backend_sdk.cli.checks.login import find_login
from codex_backend_sdk.cli.checks.outcome import broken, note, ok, warning
from codex_backend_sdk.cli.checks.servers import Unanswered, ask, backend_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx2

    from codex_backend_sdk import OpenAI
    from codex_backend_sdk._types import Login
    from codex_backend_sdk.cli.checks.outcome import Outcome, Scene

__all__ = ["check_backend", "check_clock", "check_limits", "check_models", "client_with", "judge_clock"]

_RIGHT: Final = timedelta(minutes=1)  # a Date header has whole seconds, and an answer takes its time
_NEAR: Final = timedelta(hours=1)
_SET_THE_CLOCK: Final = "Set it, or let the system do so (NTP)."
_SIGN_IN: Final = "`codex-backend login`."


def check_backend(scene: Scene) -> Iterator[Outcome]:
    """Say whether the backend answers, without a login."""
    url = backend_url(scene)
    try:
        answer = _probe(scene)
    except Unanswered as error:
        yield (
            note(f"Not asked: {error}.") if error.is_told else broken(f"{url} does not answer: {error}.", error.remedy)
        )
        return
    if answer.headers.get("cf-mitigated"):
        yield note(f"{url} answers, through Cloudflare's check for robots.", "With a login it is mostly let through.")
    elif answer.status_code >= 500:
        yield warning(f"{url} answers with status {answer.status_code}.", "Try again later.")
    else:
        yield ok(f"{url} answers.")


def check_clock(scene: Scene) -> Iterator[Outcome]:
    """Compare the clock of this machine with the backend's."""
    try:
        theirs = parsedate_to_datetime(_probe(scene).headers["date"]).astimezone(UTC)
    except Unanswered:
        yield note("Not compared: the backend does not answer.")
    except (KeyError, ValueError):
        yield note("Not compared: the backend does not say what time it is.")
    else:
        yield judge_clock(scene.clock() - theirs)


def judge_clock(ahead: timedelta) -> Outcome:
    """Say how far the clock is ahead, or behind."""
    away = abs(ahead)
    if away <= _RIGHT:
        return ok("The clock of this machine is right.")
    direction, effect = ("fast", "to have ended") if ahead > timedelta(0) else ("slow", "not to be valid yet")
    what = f"The clock of this machine is {moments.duration(away)} {direction}."
    if away <= _NEAR:
        return warning(f"{what} The login may be renewed too early or too late.", _SET_THE_CLOCK)
    return broken(f"{what} Logins and certificates seem {effect}.", _SET_THE_CLOCK)


def check_models(scene: Scene) -> Iterator[Outcome]:
    """Say how many models there are, and whether the default is one of them."""
    yield from _asked(scene, _models)


def check_limits(scene: Scene) -> Iterator[Outcome]:
    """Say how much of the plan is used."""
    yield from _asked(scene, _limits)


def client_with(scene: Scene, login: Login | None) -> OpenAI:
    """Return a client that is signed in with this login, as long as it is good."""
    from codex_backend_sdk import OpenAI

    return OpenAI(credentials=_AsItStands(login), max_retries=0, timeout=scene.seconds)


def _models(scene: Scene, client: OpenAI) -> Outcome:
    models = client.models.list().data
    scene.client = client
    default = client._codex.model
    if any(model.id == default for model in models):
        return ok(f"This account has {len(models)}; the default, `{default}`, is one of them.")
    offered = ", ".join(model.id for model in models if model.visibility != "hide")
    return warning(
        f"This account has {len(models)}; the default, `{default}`, is not one of them.",
        f"Name one with `model=`: {offered}." if offered else None,
    )


def _limits(scene: Scene, client: OpenAI) -> Outcome:
    from codex_backend_sdk._core.limits import from_usage

    limits = from_usage(client.codex.usage(), seen_at=scene.clock())
    if limits.reached or limits.used_up is not None:
        return warning(f"{limits}.", "https://chatgpt.com/settings/usage shows and extends it.")
    return ok(f"{limits}.")


def _asked(scene: Scene, ask: Callable[[Scene, OpenAI], Outcome]) -> Iterator[Outcome]:
    """Ask with the login, if there is one that is good; what another check tells is not told again."""
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
            yield broken(" ".join(str(error).removeprefix("Error code: ").split()))


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


def _probe(scene: Scene) -> httpx2.Response:
    from codex_backend_sdk._core.oauth import require_safe_url

    return ask(require_safe_url(backend_url(scene), what=BACKEND_URL_ENV) + "/models", scene)
