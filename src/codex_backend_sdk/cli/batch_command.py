"""The command `batch`: send the lines of a file, and continue after an interruption."""

from __future__ import annotations

import math
import re
import shlex
import shutil
import signal
import sys
import threading
import time
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from .._timefmt import format_count, format_duration, format_local_time
from .exit_codes import ExitCode, ExitError
from .output import bar, can_encode, print_json, print_json_line, print_text, redraw_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from .. import BatchStoppedError
    from ..batch import Batch, BatchProgress

__all__ = ["batch", "progress_text"]

_REPORT_SECONDS: Final = 30.0  # between two lines in a log
_REDRAW_SECONDS: Final = 0.2
_JSON_SECONDS: Final = 1.0
_GRACE_SECONDS: Final = 10.0
_UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_FILE: Final = click.Path(path_type=Path, dir_okay=False, allow_dash=True)
_ARGUMENTS: Final = f"{__name__}.arguments"  # a key of `click.Context.meta`


if TYPE_CHECKING:
    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType  # generic since click 8.4


class _Duration(_ParamType):
    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)\s?([smhd]?)", str(value).strip())
        if match is None:
            self.fail(f"{value!r} is not a duration. Write for example 30m, 6h or 2d.", param, ctx)
        return timedelta(seconds=float(match[1]) * _UNITS[match[2]])


class _Percent(_ParamType):
    name = "percent"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        match = re.fullmatch(r"(\d{1,3}(?:\.\d{1,3})?)\s?%?", str(value).strip())
        if match is None or not 0 < float(match[1]) <= 100:
            self.fail(f"{value!r} is not a percentage. Write for example 90%.", param, ctx)
        return float(match[1])


class _BatchCommand(click.Command):
    """Keep the arguments, for the command that continues the batch."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[_ARGUMENTS] = list(args)
        return super().parse_args(ctx, args)


@click.command(cls=_BatchCommand)
@click.argument("input_path", metavar="INPUT", type=_FILE)
@click.option("-o", "--output", required=True, type=_FILE, metavar="FILE", help="Results.")
@click.option("--errors", type=_FILE, metavar="FILE", help="File for the failures (default: OUTPUT with `.errors`).")
@click.option(
    "--concurrency",
    type=click.IntRange(1, 1000),
    metavar="N",
    help="Maximum number of concurrent requests (default: adaptive).",
)
@click.option("--stop-at", type=_Percent(), metavar="90%", help="Stop when this share of a usage limit is used.")
@click.option("--wait", is_flag=True, help="Wait for the reset of a usage limit, and continue.")
@click.option("--max-wait", type=_Duration(), metavar="6h", help="Longest wait for one reset; implies --wait.")
@click.option(
    "--template", metavar="TEXT", help="Prompt with names of columns or members in braces, such as 'Translate: {text}'."
)
@click.option("--ordered", is_flag=True, help="Write the results in the order of the input.")
@click.option(
    "--on-change",
    type=click.Choice(["error", "redo", "keep"]),
    default="error",
    show_default=True,
    help="What to do with finished lines whose request has changed.",
)
@click.option("--dedupe", is_flag=True, help="Send the same request only once.")
@click.option("--retry-failed", is_flag=True, help="Send failed lines again.")
@click.option(
    "--schema",
    "--output-schema",
    "schema_path",
    type=_FILE,
    metavar="FILE",
    help="JSON Schema that each response must match.",
)
@click.option("-m", "--model", metavar="MODEL", help="Model for lines without one.")
@click.option("-e", "--effort", metavar="EFFORT", help="Reasoning effort for lines without one.")
@click.option("-s", "--instructions", metavar="TEXT|@FILE", help="Instructions for lines without any.")
@click.option("--dask", metavar="ADDRESS", help="Send the requests from the workers of this Dask scheduler.")
@click.option(
    "--progress",
    type=click.Choice(["auto", "json", "none"]),
    default="auto",
    show_default=True,
    help="Progress on standard error. auto: a bar on a terminal, otherwise a line every 30 seconds.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
@click.option("--dry-run", is_flag=True, help="Check the input and print the counts. Send nothing.")
@click.pass_context
def batch(context: click.Context, /, input_path: Path, output: Path, **options: Any) -> None:
    """Send each line of INPUT, and write the responses to a file.

    The ending of INPUT is .txt (a prompt in each line), .jsonl, .csv, .tsv or .parquet, also with .gz; `-` is JSON
    Lines from standard input. A line of JSON Lines is a JSON string, an object with `input`, or a line of the official
    Batch API. The results have the format of that API, or are a table of the texts if OUTPUT ends with .csv or .tsv.

    The finished lines are stored in OUTPUT.journal. To continue after an interruption, run the same command again: it
    sends only the other lines. The exit code is 6 if some lines failed, and 4 if a usage limit ended the run.
    """
    from .. import BatchStoppedError, OpenAI
    from ..batch import read_requests

    journal = Path(f"{output}.journal")
    if str(input_path) != "-" and not input_path.exists():
        raise click.UsageError(f"{input_path} does not exist. Check the path of the input.")
    if output.exists() and output.stat().st_size and not journal.exists():
        raise click.UsageError(f"{output} exists, and has no journal. Pass another --output, or delete the file.")
    _check_outputs(input_path, output, options["errors"], journal)
    lines = _Lines(read_requests(input_path, options["template"]))
    reporter = _Reporter(options["progress"])
    waits = options["wait"] or options["max_wait"] is not None
    with OpenAI() as client:
        arguments = {
            name: options[name]
            for name in ("concurrency", "stop_at", "ordered", "on_change", "dedupe", "retry_failed", "max_wait", "dask")
        }
        created: Batch[Any] = client.codex.batch(
            lines,
            journal=journal if journal.exists() or not options["dry_run"] else None,
            on_progress=reporter,
            wait_for_limit=waits,
            text_format=_read_schema(options["schema_path"]),
            **arguments,
            **_create_params(options),
        )
        if options["dry_run"]:
            _print_counts(created.preview(), output, options, verb="to send")
            return
        try:
            with _stop_on_interrupt(created, lines):
                progress = created.write(output, options["errors"])
        except BrokenPipeError:  # of standard error
            raise
        except OSError as error:
            raise ExitError(
                f"The results cannot be written: {error.filename or output}: {error.strerror or error}. Free space on "
                "the disk, or choose another output, and run the command again: finished lines are not sent again."
            ) from error
        except BatchStoppedError as error:
            reporter.finish(error.progress)
            raise _stop_error(error, context.meta[_ARGUMENTS], waits=waits) from error.__cause__
        reporter.finish(progress)
    _print_counts(progress, output, options, verb="left")
    if progress.failed:
        context.exit(ExitCode.PARTLY_FAILED)


def _stop_error(error: BatchStoppedError, arguments: list[str], *, waits: bool) -> Exception:
    """Return the error of a run that ended early, with the remedy in the words of the command."""
    from ..batch.run import HOW_TO_CONTINUE

    message = str(error)
    if error.reason == "stopped":
        command = shlex.join(["codex-backend", "batch", *arguments])
        message = message.replace(HOW_TO_CONTINUE, f"Continue with: {command}")
        return ExitError(message, ExitCode.INTERRUPTED, data=progress_data(error.progress))
    if error.reason == "failures":
        return ExitError(message, data=progress_data(error.progress))
    option = "pass a longer --max-wait" if waits else "add --wait to wait for it now"
    remedy = f"Run the command again after the reset, or {option}; it does not send finished lines again."
    error.args = (message.replace(HOW_TO_CONTINUE, remedy),)
    return error


def _read_schema(path: Path | None) -> dict[str, Any] | None:
    if path is None:
        return None
    from .output_schema import OutputSchema

    parameter: dict[str, Any] = OutputSchema.read(path).text_parameter()["format"]
    return {name: parameter[name] for name in ("name", "schema", "strict")}


def _create_params(options: dict[str, Any]) -> dict[str, Any]:
    from .prompt_options import PromptOptions

    settings = PromptOptions(model=options["model"], instructions=options["instructions"]).settings()
    return settings if options["effort"] is None else {**settings, "reasoning": {"effort": options["effort"]}}


def _check_outputs(input_path: Path, output: Path, errors: Path | None, journal: Path) -> None:
    """Raise click.UsageError if the results would replace the input, or anything that is not a file."""
    from ..batch.output_files import OutputFiles, default_errors_path, has_format

    if not has_format(output):
        print_text(f"{output} gets JSON Lines. For a table, choose a name that ends with .csv or .tsv.", err=True)
    for path in (output, errors or default_errors_path(output)):
        if str(path) in ("-", "/dev/stdout", "/dev/stderr"):
            raise click.UsageError(f"{path} is not a regular file. Pass the path of a file for the results.")
        if path.resolve() == input_path.resolve():
            raise click.UsageError(f"{path} is the input, which the results would replace. Choose another output.")
    try:
        OutputFiles(output, errors, journal=journal)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


class _Lines:
    """The lines of the input, and whether all of them were read."""

    def __init__(self, lines: Iterator[Any]) -> None:
        self._lines = lines
        self.are_read = False

    def __iter__(self) -> Iterator[Any]:
        yield from self._lines
        self.are_read = True


@contextmanager
def _stop_on_interrupt(created: Batch[Any], lines: _Lines) -> Iterator[None]:
    """On the first Ctrl-C, let the running requests end, at most for ten seconds. A second one ends at once.

    While the input is read, the first one ends the command: standard input may have no end.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if not lines.are_read:
            signal.default_int_handler(number, frame)
        print_text("\nStopping: running requests may finish within 10 seconds. Ctrl-C again ends at once.", err=True)
        created.stop(_GRACE_SECONDS)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def _print_counts(progress: BatchProgress, output: Path, options: dict[str, Any], *, verb: str) -> None:
    if options["as_json"]:
        print_json({**progress_data(progress), "output": str(output), "journal": f"{output}.journal"})
        return
    if options["progress"] == "json" and not options["dry_run"]:  # the last line of the progress has the counts
        return
    earlier = f", {progress.from_journal:,} of them in earlier runs" if progress.from_journal else ""
    left = f", {progress.remaining:,} {verb}" if progress.remaining else ""
    print_text(
        f"{format_count(progress.total, 'line')}: {progress.completed:,} complete, {progress.failed:,} failed{earlier}"
        f"{left}.",
        err=True,
    )
    if options["dry_run"]:
        return
    print_text(f"Results: {output}", err=True)
    if progress.failed:
        from ..batch.output_files import default_errors_path

        print_text(f"Failures: {options['errors'] or default_errors_path(output)}", err=True)


def progress_data(progress: BatchProgress) -> dict[str, Any]:
    """Return the progress as JSON data, for `--json` and `--progress json`."""
    windows = progress.limits.windows if progress.limits is not None else ()
    return {
        "total": progress.total,
        "completed": progress.completed,
        "failed": progress.failed,
        "remaining": progress.remaining,
        "from_journal": progress.from_journal,
        "running": progress.running,
        "concurrency": progress.concurrency,
        "retries": progress.retries,
        "eta_seconds": None if progress.eta_seconds is None else round(progress.eta_seconds),
        "paused_until": None if progress.paused_until is None else progress.paused_until.isoformat(),
        "limits": [{"window": window.name, "used_percent": window.used_percent} for window in windows],
    }


class _Reporter:
    """Show the progress on standard error: a line that is redrawn, lines of a log, or JSON lines."""

    def __init__(self, form: str) -> None:
        self._is_terminal = form == "auto" and sys.stderr.isatty()
        self._form = form
        self._next = 0.0 if self._is_terminal or form == "json" else time.monotonic() + _REPORT_SECONDS
        self._width = 0

    def __call__(self, progress: BatchProgress) -> None:
        now = time.monotonic()
        if self._form == "none" or now < self._next:
            return
        if self._form == "json":
            self._next = now + _JSON_SECONDS
            _print_error_json(progress)
        elif self._is_terminal:
            self._next = now + _REDRAW_SECONDS
            columns = shutil.get_terminal_size().columns - 1
            text = progress_text(progress, width=columns, has_bar=True)
            length = len(click.unstyle(text))
            redraw_line(text + " " * (min(self._width, columns) - length))
            self._width = length
        else:
            self._next = now + _REPORT_SECONDS
            print_text(progress_text(progress, width=math.inf), err=True)

    def finish(self, progress: BatchProgress | None) -> None:
        """Leave the line that is redrawn, or print the last JSON line."""
        if self._form == "json" and progress is not None:
            _print_error_json(progress)
        if self._width:
            print_text("", err=True)


def _print_error_json(progress: BatchProgress) -> None:
    print_json_line(progress_data(progress), err=True)


def progress_text(progress: BatchProgress, *, width: float, has_bar: bool = False) -> str:
    """Return the progress in one line. Parts that do not fit the width are left out, the least important ones first."""
    finished = progress.completed + progress.failed
    progress_bar = ""
    if has_bar and width >= 60:
        progress_bar = f"{bar(100 * finished / progress.total if progress.total else 100, 'green', err=True)} "
    parts = [f"{finished:,} of {progress.total:,}"]
    if progress.paused_until is not None:
        parts.append(f"limit resets {format_local_time(progress.paused_until)}")
    elif progress.eta_seconds is not None and progress.remaining:
        is_short = progress.eta_seconds < 60
        eta = "less than a minute" if is_short else format_duration(timedelta(seconds=progress.eta_seconds))
        parts.append(f"{eta} left")
    if progress.failed:
        parts.append(f"{progress.failed:,} failed")
    binding = progress.limits.binding_window if progress.limits is not None else None
    if binding is not None:
        parts.append(f"{binding.name} limit {binding.used_percent:g} % used")
    parts.append(f"{progress.running} running")
    while len(parts) > 1 and len(click.unstyle(progress_bar)) + len(" · ".join(parts)) > width:
        parts.pop()
    separator = " · " if can_encode("·", err=True) else " - "
    return progress_bar + separator.join(parts)
