"""The command `usage`: the limits once, live (`--watch`), as an exit code (`--check`), or over time (`--plot`)."""

from __future__ import annotations

import os
import shutil
import sys
import time
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from .._timefmt import format_count, format_local_time
from .exit_codes import JSON_LINES, ExitCode, ExitError
from .output import erase_lines, line_width, print_block, print_json, print_json_line, print_text, wrap
from .parameter_types import SECONDS, FiniteFloatRange
from .usage_report import limit_over_threshold, usage_data, usage_lines

if TYPE_CHECKING:
    from .. import OpenAI, UsageReport

__all__ = ["UsageCheckError", "usage"]

# `--watch` sends no more than one request in this time. In between, it shows what other programs have stored.
_REQUEST_INTERVAL_SECONDS: Final = 60.0
_MAX_DAYS: Final = 3650


class UsageCheckError(ExitError):
    """A limit is at or over the threshold of `--check`."""

    def __init__(self, message: str, *, resets_at: datetime | None, data: dict[str, Any]) -> None:
        super().__init__(message, ExitCode.LIMIT, data=data)
        self.resets_at = resets_at


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON. With --watch, one line for each reading.")
@click.option(
    "--check",
    "threshold",
    type=FiniteFloatRange(0, 100),
    metavar="PERCENT",
    help="Exit with code 4 if this percentage of a limit, or more, is used, or if a limit is exhausted.",
)
@click.option(
    "--watch",
    "interval",
    type=SECONDS,
    is_flag=False,
    flag_value=_REQUEST_INTERVAL_SECONDS,
    metavar="[SECONDS]",
    help="Show the limits until Ctrl-C, every SECONDS (default: 60). It sends one request a minute; in between, it "
    "shows what other programs have stored in the usage history.",
)
@click.option(
    "--plot",
    "plot_path",
    type=click.Path(dir_okay=False, writable=True, allow_dash=True),
    metavar="FILE.svg",
    help="Draw the usage history as an SVG. Sends no request.",
)
@click.option(
    "--days",
    type=FiniteFloatRange(0, _MAX_DAYS, min_open=True),
    default=30,
    show_default=True,
    metavar="DAYS",
    help="Days that --plot shows.",
)
@click.option("--reset", "must_reset", is_flag=True, help="Use a reset credit, which resets the windows of the plan.")
@click.option("--yes", is_flag=True, help="Use the reset credit without a confirmation.")
def usage(
    as_json: bool,
    threshold: float | None,
    interval: float | None,
    plot_path: str | None,
    days: float,
    must_reset: bool,
    yes: bool,
) -> None:
    """Show how much of the plan is used and when it resets.

    The first window of each limit is the one that stops requests first. Percentages show the used part.
    """
    actions = {"--watch": interval is not None, "--plot": plot_path is not None, "--reset": must_reset}
    chosen = [name for name, is_chosen in actions.items() if is_chosen]
    if len(chosen) > 1:
        raise click.UsageError(f"{chosen[0]} and {chosen[1]} cannot be combined. Run the command twice.")
    if plot_path is not None:
        if plot_path != "-" and not plot_path.lower().endswith(".svg"):
            raise click.UsageError(f"{plot_path} does not end in .svg. --plot draws an SVG; pass such a name.")
        if threshold is not None:
            raise click.UsageError("--check and --plot cannot be combined. Run the command twice.")
        if plot_path == "-" and as_json:
            raise click.UsageError("--json and `--plot -` both write to standard output. Pass a file to --plot.")
        _plot(plot_path, days=days, as_json=as_json)
        return
    from .. import OpenAI

    with OpenAI() as client:
        if must_reset:
            _reset(client, as_json=as_json, is_confirmed=yes)
        if interval is not None:
            _watch(client, interval, threshold, as_json=as_json)
        _show(*_read(client), threshold, as_json=as_json)


def _read(client: OpenAI) -> tuple[UsageReport, dict[str, Any]]:
    from ..limits.limit_parsing import parse_usage_report

    response = client.codex.usage()
    return parse_usage_report(response, received_at=datetime.now(UTC)), response


def _show(report: UsageReport, response: dict[str, Any], threshold: float | None, *, as_json: bool) -> None:
    now = datetime.now(UTC)
    data = usage_data(report, response, now=now) if as_json else {}
    over = None if threshold is None else limit_over_threshold(report, threshold, now=now)
    if as_json and over is None:
        print_json(data)
    elif not as_json:
        for line, indent in usage_lines(report, now=now, width=line_width()):
            print_text(line, indent=indent)
    if over is not None:  # with `--json`, the error's object has the data
        raise UsageCheckError(over.message, resets_at=over.resets_at, data=data)


# Reset credits


def _reset(client: OpenAI, *, as_json: bool, is_confirmed: bool) -> None:
    """Use a reset credit. Raises ExitError if no window was reset."""
    report = client.codex.usage_report()
    if not report.reset_credits:
        raise ExitError(
            "This account has no reset credits. `codex-backend usage` shows when the windows reset by themselves."
        )
    if not is_confirmed:
        if not sys.stdin.isatty():
            raise click.UsageError("--reset asks for a confirmation, which needs a terminal. Add --yes.")
        for line, indent in usage_lines(report, now=datetime.now(UTC), width=line_width(err=True)):
            print_text(line, indent=indent, err=True)
        click.confirm(
            f"Use one of your {format_count(report.reset_credits, 'reset credit')} now?", abort=True, err=True
        )
    result = client.codex.reset_credits.consume()
    if not result.was_reset:
        raise ExitError(f"No window was reset: the backend reports {result.code or 'no result'}.")
    if not as_json:
        count = result.windows_reset
        print_text(
            "A reset credit was used." if count is None else f"A reset credit reset {format_count(count, 'window')}.",
            err=True,
        )


# Live


def _watch(client: OpenAI, interval: float, threshold: float | None, *, as_json: bool) -> None:
    """Show the limits every `interval` seconds. Ends with Ctrl-C, or when a limit reaches the threshold."""
    import openai

    from .. import LoginRequiredError

    click.get_current_context().meta[JSON_LINES] = True
    report, response = _read(client)
    requested_at = time.monotonic()
    area = _LiveArea()
    while True:
        problem = None
        if time.monotonic() - requested_at >= _REQUEST_INTERVAL_SECONDS:
            requested_at = time.monotonic()
            try:
                report, response = _read(client)
            except (LoginRequiredError, openai.AuthenticationError):
                raise
            except openai.APIError as error:  # the next request may succeed; the age shows that the reading is old
                problem = f"The last request failed: {error.message}"
        report = _with_stored_limits(client, report)
        now = datetime.now(UTC)
        if as_json:
            print_json_line(usage_data(report, response, now=now))
        else:
            area.show(report, problem, now=now)
        over = None if threshold is None else limit_over_threshold(report, threshold, now=now)
        if over is not None:
            raise UsageCheckError(over.message, resets_at=over.resets_at, data={})
        time.sleep(interval)


def _with_stored_limits(client: OpenAI, report: UsageReport) -> UsageReport:
    """Return the report with newer limits that the clients of other programs have stored in the usage history."""
    from ..limits.limit_parsing import merge

    history, login = client.codex.usage_history, client.credentials.ready()
    stored = None
    if history is not None and login is not None:
        with suppress(OSError):  # the client has logged that it cannot be written
            stored = history.newest(account_id=login.account_id)
    if stored is None or stored.received_at <= report.limits.received_at:
        return report
    return replace(report, limits=merge(report.limits, stored))


class _LiveArea:
    """Lines at the end of the output, which each reading replaces. Without a terminal, a reading is one new line."""

    def __init__(self) -> None:
        self._height = 0
        self._size: os.terminal_size | None = None
        self._can_replace = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"

    def show(self, report: UsageReport, problem: str | None, *, now: datetime) -> None:
        if not self._can_replace:
            text = f"{format_local_time(report.limits.received_at)}  {report.limits}"
            print_text(text if problem is None else f"{text}  {problem}")
            return
        lines = [*usage_lines(report, now=now, width=line_width()), *([(problem, 0)] if problem is not None else [])]
        height = sum(wrap(line, line_width(), indent=indent).count("\n") + 1 for line, indent in lines)
        size = shutil.get_terminal_size()
        # After a change of the size, the terminal may have wrapped the lines in another way: start below them.
        if self._size == size and self._height < size.lines:
            erase_lines(self._height)
        for line, indent in lines:
            print_text(line, indent=indent)
        self._height, self._size = height, size


# The history


def _plot(path: str, *, days: float, as_json: bool) -> None:
    from ..limits.usage_history import UsageHistory
    from ..limits.usage_plot import draw_usage

    history = UsageHistory.from_argument(None) or UsageHistory()
    now = datetime.now(UTC)
    account_id = _account_id()
    try:
        readings = history.readings(days=days, account_id=account_id)
        is_empty = not readings and not history.readings()
    except OSError as error:
        raise ExitError(f"{error} Delete it, or pass another path in CODEX_USAGE_HISTORY.") from error
    if not readings:
        raise ExitError(
            f"There is no usage history yet ({history.path}). Set CODEX_USAGE_HISTORY=1, or pass "
            "`OpenAI(usage_history=True)`: from then on, calls store the limits that their responses report."
            if is_empty
            else f"The usage history {history.path} has no reading of this account in the last {days:g} days. "
            "Pass more --days."
        )
    svg = draw_usage(readings, since=now - timedelta(days=days), until=now)
    if path == "-":
        print_block(svg.rstrip())
        return
    try:
        Path(path).write_text(svg, encoding="utf-8")
    except OSError as error:
        raise ExitError(f"{path} cannot be written ({error.strerror}). Pass another path.") from error
    if as_json:
        print_json({"plot": path, "readings": len(readings), "history": str(history.path)})
    else:
        print_text(
            f"{path} shows {format_count(len(readings), 'reading')} since "
            f"{format_local_time(readings[0].received_at)}.",
            err=True,
        )


def _account_id() -> str | None:
    """Return the account of the login, or None if there is none: then the plot shows all readings."""
    from .login import resolve_login

    login = resolve_login().login
    return None if login is None else login.account_id
