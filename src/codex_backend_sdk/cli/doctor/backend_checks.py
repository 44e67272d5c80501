"""Whether the backend is there, and what time it is by its clock. It is asked without a login."""

from __future__ import annotations

from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from ..._constants import BACKEND_URL_ENV
from .. import moments
from .result import broken, note, ok, warning
from .servers import Unanswered, ask, backend_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx2

    from .result import Outcome, Scene

__all__ = ["check_backend", "check_clock", "judge_clock"]

_RIGHT: Final = timedelta(minutes=1)  # a Date header has whole seconds, and an answer takes its time
_NEAR: Final = timedelta(hours=1)
_SET_THE_CLOCK: Final = "Set it, or let the system do so (NTP)."


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
    what = f"The clock of this machine is {moments.format_duration(away)} {direction}."
    if away <= _NEAR:
        return warning(f"{what} The login may be renewed too early or too late.", _SET_THE_CLOCK)
    return broken(f"{what} Logins and certificates seem {effect}.", _SET_THE_CLOCK)


def _probe(scene: Scene) -> httpx2.Response:
    from ..._urls import require_safe_url

    return ask(require_safe_url(backend_url(scene), what=BACKEND_URL_ENV) + "/models", scene)
