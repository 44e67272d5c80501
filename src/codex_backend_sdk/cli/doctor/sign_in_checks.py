"""What a sign-in on this machine would need: the sign-in server, a port to come back to, and a browser."""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING

from ..._constants import CALLBACK_HOST, CALLBACK_PORTS, ISSUER_URL_ENV
from .result import broken, note, ok, warning
from .servers import Unanswered, ask, issuer_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .result import Outcome, Scene

__all__ = ["check_browser", "check_issuer", "check_ports", "judge_ports"]


def check_ports(scene: Scene) -> Iterator[Outcome]:
    """Say whether the browser could come back."""
    return judge_ports(CALLBACK_PORTS)


def judge_ports(ports: Sequence[int]) -> Iterator[Outcome]:
    """Report which of the ports are free."""
    taken = [port for port in ports if not _is_free(port)]
    free = [port for port in ports if port not in taken]
    named = " and ".join(map(str, taken))
    if not taken:
        yield ok(f"{' and '.join(map(str, free))} on {CALLBACK_HOST} are free for a sign-in.")
    elif free:
        yield ok(f"{free[0]} on {CALLBACK_HOST} is free for a sign-in; {named} is taken.")
    else:
        yield warning(
            f"A sign-in with a browser cannot come back: {named} are taken.",
            "End those programs before you sign in, or use `codex-backend login --device`.",
        )


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        if os.name == "posix":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the sign-in does
        try:
            probe.bind((CALLBACK_HOST, port))
        except OSError as error:
            return error.errno not in (errno.EADDRINUSE, errno.EACCES)
    return True


def check_browser(scene: Scene) -> Iterator[Outcome]:
    """Say how a person would sign in here."""
    from ...auth.flows.environment import why_no_browser

    why_not = why_no_browser(environment=scene.environment)
    if why_not is None:
        yield ok("A sign-in can open a browser here.")
    else:
        yield note(f"A sign-in opens no browser here: {why_not}.", "`codex-backend login --device` needs none.")


def check_issuer(scene: Scene) -> Iterator[Outcome]:
    """Say whether the sign-in server answers; whatever it answers will do."""
    from ..._urls import require_safe_url

    url = require_safe_url(issuer_url(scene), what=ISSUER_URL_ENV)
    try:
        ask(f"{url}/", scene)
    except Unanswered as error:
        yield (
            note(f"Not asked: {error}.") if error.is_told else broken(f"{url} does not answer: {error}.", error.remedy)
        )
    else:
        yield ok(f"{url} answers.")
