"""`doctor`: what works and what does not, in words to act on. It looks, and changes nothing."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any, Final, cast

import click

from .. import output
from .result import Outcome, Scene

if TYPE_CHECKING:
    from ...resources.explanation import Explanation, FindingLevel
    from .result import Level

__all__ = ["doctor"]

_CALL: Final = "Call"
_PLAIN_CALL: Final = {"input": "Hello!"}
_LEVELS: Final[dict[FindingLevel, Level]] = {
    "refused": "broken",
    "warning": "warning",
    "dropped": "note",
    "changed": "note",
    "note": "note",
}
# Of the plain call nobody asked: what is done to every call of that kind is not worth a line.
_TOLD_OF_PLAIN: Final = ("refused", "warning")


@click.command()
@click.option("--json", "wants_json", is_flag=True, help="Print all of it for another program.")
@click.option(
    "--params",
    type=click.File("r", encoding="utf-8"),
    metavar="FILE",
    help="A JSON object of parameters of `responses.create()`: explain that call, instead of a plain one. It is not "
    "made. - is standard input.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=10,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for the network.",
)
@click.pass_context
def doctor(context: click.Context, wants_json: bool, params: IO[str] | None, timeout: float) -> None:
    """Say what is wrong here, and what to do about it.

    Versions, variables, login, its store, network, sign-in server and backend are looked at. Nothing is changed: no
    login is renewed, no browser opened, no model asked. Exit code 1 when something is broken.
    """
    given = None if params is None else _object(params)
    from ...resources.explanation import facts
    from .registry import CHECKS
    from .report import Report
    from .runner import run_checks

    scene = Scene(environment=os.environ, clock=lambda: datetime.now(UTC), seconds=timeout / 2)
    report = Report(is_silent=wants_json)
    for name, outcomes in run_checks(CHECKS, scene, limit=timeout):
        report.add(name, outcomes)
    explanation = _explained(scene, _PLAIN_CALL if given is None else given)
    report.add(_CALL, _outcomes(explanation, is_plain=given is None))
    if wants_json:
        call = None if isinstance(explanation, Outcome) else _as_data(explanation)
        output.as_json({"is_well": not report.is_broken, "checks": report.rows(), "call": call})
    else:
        report.facts("The call:", facts(explanation) if not isinstance(explanation, Outcome) else ())
        report.sum_up()
    if report.is_broken:
        context.exit(1)


def _object(file: IO[str]) -> dict[str, Any]:
    try:
        found = json.load(file)
    except ValueError as error:  # not UTF-8, or not JSON
        raise click.BadParameter(f"{file.name} is not JSON: {error}", param_hint="--params") from None
    if not isinstance(found, dict):
        raise click.BadParameter(f"{file.name} holds no JSON object.", param_hint="--params")
    return found


def _explained(scene: Scene, params: dict[str, Any]) -> Explanation | Outcome:
    """Explain the call with the client that knows the catalogue, if there is one."""
    import openai

    from .probe import client_with

    try:
        client = (scene.client or client_with(scene, None)).with_options(timeout=openai.DEFAULT_TIMEOUT)
    except ValueError as error:  # of the settings of the network or of the backend, which other checks tell
        return Outcome(level="note", what=f"Not explained: {error}")
    try:
        return cast("Explanation", client.codex.explain(**params))
    except (TypeError, ValueError) as error:
        return Outcome(level="broken", what=f"These are no parameters of a call: {error}")


def _outcomes(explanation: Explanation | Outcome, *, is_plain: bool) -> list[Outcome]:
    if isinstance(explanation, Outcome):
        return [explanation]
    found = [
        Outcome(level=_LEVELS[each.level], what=f"{each.what} {each.why}".strip(), remedy=each.remedy)
        for each in sorted(explanation.findings, key=lambda finding: list(_LEVELS).index(finding.level))
        if not is_plain or each.level in _TOLD_OF_PLAIN
    ]
    if explanation.is_refused:
        return found
    return [Outcome(level="ok", what=f"A call would use the model `{explanation.model}`. None was made."), *found]


def _as_data(explanation: Explanation) -> dict[str, Any]:
    """Return all of it but the body, in which the prompts are."""
    data = asdict(explanation)
    (data["prepared_request"] or {}).pop("body", None)
    return {"is_refused": explanation.is_refused, **data}
