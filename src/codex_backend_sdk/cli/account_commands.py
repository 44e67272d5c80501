"""The commands that show an account: `status`, `usage` and `models`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import click

from .._timefmt import format_local_time
from ..limits.limit_types import format_percent
from .exit_codes import ExitCode
from .login import resolve_login
from .output import format_relative_time, join, print_fields, print_json, print_table, print_text, style, usage_bar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .. import RateLimits, RateLimitWindow, UsageReport
    from ..resources.models import Model

__all__ = ["models", "status", "usage", "usage_lines"]

_MODEL_HEADINGS: Final = ("MODEL", "NAME", "CONTEXT", "REASONING EFFORTS")


@click.command()
@click.pass_context
def status(context: click.Context) -> None:
    """Show the account of the login. The exit code is 3 if there is no valid login.

    The command reads the stored login and does not refresh it, so it cannot detect that the login was revoked. It sends
    no requests, except for a personal access token, which does not contain the account.
    """
    from ..auth import _jwt  # does not import openai and httpx2, so that this command starts quickly

    now = datetime.now(UTC)
    resolved_login = resolve_login()
    login, problem = resolved_login.login, resolved_login.problem
    if login is not None and _jwt.has_expired(login, now=now) and not resolved_login.is_refreshable:
        problem = f"The login in {resolved_login.location} has expired and cannot be refreshed."
    if login is None or problem is not None:
        print_text("Not logged in", bold=True)
        print_text(f"{problem} Run `codex-backend login` to log in.")
        context.exit(ExitCode.SIGNED_OUT)
    refresh_text = "refreshed automatically" if resolved_login.is_refreshable else "cannot be refreshed"
    expiry = (
        f"{format_local_time(login.expires_at)} ({format_relative_time(login.expires_at, now=now)})"
        if login.expires_at
        else "unknown"
    )
    print_text(f"Logged in as {login.email or 'an account without an email address'}", bold=True)
    print_fields(
        ("plan", login.plan or "unknown"),
        ("account", login.account_id or "unknown"),
        ("expires", f"{expiry}; {refresh_text}"),
        ("stored in", resolved_login.location),
    )


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the backend's response as JSON.")
def usage(as_json: bool) -> None:
    """Show how much of the plan is used and when it resets."""
    from .. import OpenAI

    with OpenAI() as client:
        if as_json:
            print_json(client.codex.usage())
            return
        report = client.codex.usage_report()
    for line, indent in usage_lines(report, now=datetime.now(UTC)):
        print_text(line, indent=indent)


def usage_lines(report: UsageReport, *, now: datetime) -> Iterator[tuple[str, int]]:
    """Yield the lines of a usage report. Each line has an indentation, for the case that it is wrapped."""
    yield style(f"{report.email or 'Your account'}, plan {report.plan or 'unknown'}", bold=True), 0
    rows = list(_usage_rows(report))
    name_width = max((len(name) for name, _ in rows), default=0)
    percent_width = max([len("100 %"), *(len(format_percent(window.used_percent)) for _, window in rows)])
    for name, window in rows:
        percent = format_percent(window.used_percent).rjust(percent_width)
        reset = ""
        if window.resets_at is not None:
            reset = (
                f", resets {format_relative_time(window.resets_at, now=now)} ({format_local_time(window.resets_at)})"
            )
        yield join(f"  {name.ljust(name_width)}  ", usage_bar(window.used_percent), f" {percent} used{reset}"), 4
    if not rows:
        yield "The backend reports no limits for this account.", 0
    for remark in _limit_remarks(report.limits):
        yield remark, 0
    if report.reset_credits:
        yield f"Reset credits: {report.reset_credits} (`client.codex.reset_credits.consume()` uses one)", 0


def _usage_rows(report: UsageReport) -> Iterator[tuple[str, RateLimitWindow]]:
    """Yield the name and the window of each limit. The windows of a limit are ordered by length."""
    for window in report.limits.windows:
        yield window.name, window
    for limit in (*report.limits.additional, *([report.code_review] if report.code_review else [])):
        name = join(limit.name or limit.id or "additional")
        for window in limit.windows:
            yield f"{name}, {window.name}", window


def _limit_remarks(limits: RateLimits) -> Iterator[str]:
    credits, control = limits.credits, limits.spend_control
    has_credits = credits is not None and (credits.unlimited or credits.has_credits)
    is_capped = control is not None and control.reached
    if limits.is_exhausted:
        # Credits pay for calls beyond the limit until the spending cap of the workspace is reached.
        effect = "credits pay for" if has_credits and not is_capped else "the backend rejects"
        yield style(f"The usage limit is exhausted: {effect} further calls until the reset.", fg="red")
    if has_credits:
        yield f"Credits: {credits}"
    if control is not None and (is_capped or control.limit is not None):
        yield f"Spending cap: {control}"


@click.command()
@click.option("--all", "include_hidden", is_flag=True, help="Include the models that the backend hides from pickers.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole model catalog as JSON.")
def models(include_hidden: bool, as_json: bool) -> None:
    """List the models that are available to this account."""
    from .. import OpenAI

    with OpenAI() as client:
        page = client.models.list()
    if as_json:
        print_json(page.to_dict(mode="json"))
        return
    visible_models = [model for model in page.data if include_hidden or model.visibility != "hide"]
    print_table(_MODEL_HEADINGS, [_model_row(model) for model in visible_models])


def _model_row(model: Model) -> tuple[str, ...]:
    efforts = [level.effort for level in model.supported_reasoning_levels]
    context = f"{model.context_window // 1000:,} k" if model.context_window else "-"
    return model.id, model.display_name or "-", context.rjust(7), ", ".join(efforts) or "-"
