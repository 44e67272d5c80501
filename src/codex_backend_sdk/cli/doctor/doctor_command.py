"""The command `doctor`: run the checks, explain a call, and print a report."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any, Final

import click

from ..output import print_block, print_json
from ..parameter_types import SECONDS
from .report import CheckResult, error_result, note, ok, print_line, print_result, print_summary

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...resources.explain_report import Explanation, FindingLevel
    from .check_context import CheckContext
    from .report import Level

__all__ = ["doctor"]

_SAMPLE_CALL: Final = {"input": "Hello!"}
# The level in the report of each level of a finding, from the most to the least severe.
_LEVELS: Final[dict[FindingLevel, Level]] = {
    "refused": "error",
    "warning": "warning",
    "dropped": "note",
    "changed": "note",
    "note": "note",
}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option(
    "--params",
    type=click.File("r", encoding="utf-8"),
    metavar="FILE",
    help="Explain the call with these parameters of `responses.create()`, a JSON object. `-` is standard input.",
)
@click.option(
    "--timeout",
    type=SECONDS,
    default=10,
    show_default=True,
    metavar="SECONDS",
    help="Timeout of a request.",
)
@click.pass_context
def doctor(context: click.Context, as_json: bool, params: IO[str] | None, timeout: float) -> None:
    """Check the installation, the login and the network.

    The report contains a remedy for each problem and no secrets. The checks are read-only: they refresh no login, open
    no browser and use no model. The exit code is 1 if the report contains an error.
    """
    parameters = _SAMPLE_CALL if params is None else _read_object(params)
    from ...resources.explain_report import summary_rows
    from .check_context import CheckContext
    from .checks import CHECKS, run_check

    checks = CheckContext(environment=os.environ, clock=lambda: datetime.now(UTC), timeout_seconds=timeout)
    report: list[tuple[str, CheckResult]] = []

    def add(name: str, results: Iterable[CheckResult]) -> None:
        for number, result in enumerate(results):
            report.append((name, result))
            if not as_json:
                print_result(name if number == 0 else None, result)

    for name, check in CHECKS.items():
        add(name, run_check(check, checks))
    explanation = _explain(checks, parameters)
    add("Call", _call_results(explanation, is_sample=params is None))
    has_errors = any(result.level == "error" for _, result in report)
    if as_json:
        call = None if isinstance(explanation, CheckResult) else _explanation_data(explanation)
        rows = [{"check": name, **asdict(result)} for name, result in report]
        print_json({"is_ok": not has_errors, "checks": rows, "call": call})
    else:
        if not isinstance(explanation, CheckResult) and not explanation.is_refused:
            print_block("\nThe call:")
            for name, value in summary_rows(explanation):
                if name != "headers" or params is not None:  # of interest for a call of the user only
                    print_line(name, value)
        print_summary([result for _, result in report])
    if has_errors:
        context.exit(1)


def _read_object(file: IO[str]) -> dict[str, Any]:
    try:
        value = json.load(file)
    except ValueError as error:  # not UTF-8, or not JSON
        raise click.BadParameter(f"{file.name} is not JSON: {error}", param_hint="--params") from None
    if not isinstance(value, dict):
        raise click.BadParameter(f"{file.name} does not contain a JSON object.", param_hint="--params")
    return value


def _explain(context: CheckContext, params: dict[str, Any]) -> Explanation | CheckResult:
    """Explain the call with the client of the checks, which has cached the model catalog and the routing."""
    import openai

    try:
        client = context.client().with_options(timeout=openai.DEFAULT_TIMEOUT)
    except ValueError:  # the network or backend settings are invalid, which a check has reported
        return note("Not explained: the network or backend settings are invalid.")
    try:
        return client.codex.explain(**params)
    except (TypeError, ValueError) as error:
        return error_result(f"`responses.create()` does not accept these parameters: {error}")
    finally:
        context.close()


def _call_results(explanation: Explanation | CheckResult, *, is_sample: bool) -> list[CheckResult]:
    """Return a result for each finding. For the sample call, omit notes, which describe changes to every call."""
    if isinstance(explanation, CheckResult):
        return [explanation]
    levels = list(_LEVELS)
    results = [
        CheckResult(_LEVELS[finding.level], f"{finding.what} {finding.why}".strip(), finding.remedy)
        for finding in sorted(explanation.findings, key=lambda finding: levels.index(finding.level))
        if not is_sample or _LEVELS[finding.level] != "note"
    ]
    if explanation.is_refused:
        return results
    return [ok(f"A call would use the model `{explanation.model}`. No call was sent."), *results]


def _explanation_data(explanation: Explanation) -> dict[str, Any]:
    """Return everything except the body, which contains the prompts."""
    data = asdict(explanation)
    (data["prepared_request"] or {}).pop("body", None)
    return {"is_refused": explanation.is_refused, **data}
