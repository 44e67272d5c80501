"""Test the exit code of each error, and errors as JSON."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import click
import httpx2
import openai
import pytest

from codex_backend_sdk import _exceptions
from codex_backend_sdk.cli.exit_codes import ExitCode, ExitError, exit_code_of

if TYPE_CHECKING:
    from cli.command_runs import Run, StoreLogin

    from codex_backend_sdk.testing import Simulator

EXCEPTIONS = [getattr(_exceptions, name) for name in _exceptions.__all__]
CODES = {
    ExitCode.USAGE: {"BatchInputError"},
    ExitCode.SIGNED_OUT: {"LoginRequiredError", "LoginRejectedError"},
    ExitCode.LIMIT: {"UsageLimitError", "QuotaExceededError", "UsageNotIncludedError", "BatchStoppedError"},
    ExitCode.INCOMPLETE: {
        "StreamInterruptedError",
        "IdleTimeoutError",
        "TotalTimeoutError",
        "PolicyViolationError",
        "OutputValidationError",
        "RunStoppedError",
        "MaxTurnsError",
        "RepeatedCallError",
        "RunPausedError",
    },
}


@pytest.mark.parametrize("error_class", EXCEPTIONS, ids=lambda error: error.__name__)
def test_exit_code_of_each_exception_class(error_class: type[Exception]) -> None:
    expected = next((code for code, names in CODES.items() if error_class.__name__ in names), ExitCode.ERROR)
    assert exit_code_of(error_class.__new__(error_class)) is expected


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (KeyboardInterrupt(), 130),
        (click.Abort(), 130),
        (BrokenPipeError(), 141),
        (ValueError("x"), 1),
        (click.UsageError("x"), 2),
        (click.FileError("x"), 1),
        (ExitError("x"), 1),
        (ExitError("x", ExitCode.PARTLY_FAILED), 6),
        (openai.APIConnectionError(request=httpx2.Request("GET", "https://example.com")), 1),
    ],
    ids=repr,
)
def test_exit_code_of_other_errors(error: BaseException, code: int) -> None:
    assert exit_code_of(error) == code


def test_exit_code_is_found_without_openai() -> None:
    program = (
        "import sys; from codex_backend_sdk.cli.exit_codes import exit_code_of\n"
        "print(int(exit_code_of(ValueError())), 'openai' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=40, check=True)
    assert result.stdout == "1 False\n"


# --- errors as JSON ---------------------------------------------------------------------------------------------------


def error_of(out: str) -> dict[str, object]:
    data = json.loads(out)
    assert list(data) == ["error"]
    assert list(data["error"]) == ["type", "message", "exit_code", "code", "request_id", "resets_at"]
    return data["error"]


def test_error_is_an_object_with_json(run: Run) -> None:
    result = run("models", "--json")
    error = error_of(result.out)
    assert (result.code, error["type"], error["exit_code"]) == (3, "LoginRequiredError", 3)
    assert result.err == f"Error: {error['message']}\n"
    assert run("models").out == ""


def test_error_of_a_limit_has_the_reset_time(run: Run, sim: Simulator, store_login: StoreLogin) -> None:
    store_login()
    sim.fail("usage_limit:plus,3600@usage", times=None)
    result = run("usage", "--json")
    error = error_of(result.out)
    assert (result.code, error["type"]) == (4, "UsageLimitError")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+\+00:00", str(error["resets_at"]))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("models", "--json", "--bad"), 2),
        (("models", "--bad", "--json"), 2),
        (("doctor", "--timeout", "x", "--json"), 2),
        (("doctor", "--json", "--params", "/missing"), 2),
    ],
)
def test_usage_error_is_an_object_with_json(run: Run, arguments: tuple[str, ...], code: int) -> None:
    result = run(*arguments)
    error = error_of(result.out)
    assert (result.code, error["exit_code"]) == (code, code)
    assert f"Error: {error['message']}\n" in result.err


def test_option_value_named_json_is_no_option(run: Run) -> None:
    result = run("doctor", "--params", "--json", "--bad")
    assert (result.code, result.out) == (2, "")
