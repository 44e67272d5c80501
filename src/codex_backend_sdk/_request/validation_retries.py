"""Retry `responses.parse()` if the output does not match the caller's models (`validation_retries`).

Each retry continues the conversation: the output items of the last response, and a message with the errors of the
validation, follow the input. The message names the place and the rule of each error, not the value. The parser records
the errors of calls in a context variable, because it returns these calls.
`ParseAttempts` has no I/O; `resources.responses` drives it for both clients.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextvars import ContextVar, Token
from typing import Any, Final

from pydantic import ValidationError

__all__ = ["ParseAttempts", "describe_errors", "record_call_error"]

_MAX_ERRORS: Final = 20
# 400 "No tool output found for function call call_...": the backend requires an output for each of these calls.
_OUTPUT_TYPES: Final = {"function_call": "function_call_output", "custom_tool_call": "custom_tool_call_output"}
_NOT_RUN: Final = "Not run, because the response was invalid."

# The errors of the calls in the response that is parsed, by the id of the call; None if they are not needed.
_call_errors: ContextVar[dict[str, Exception] | None] = ContextVar("codex_backend_sdk_call_errors", default=None)


def record_call_error(call_id: str, error: Exception) -> None:
    """Record that the arguments of a call do not match, for the attempt in this context."""
    errors = _call_errors.get()
    if errors is not None:
        errors[call_id] = error


class ParseAttempts:
    """The attempts of one call of `parse()`, each in a `with` block. `params` are the parameters of the next one.

    Raises TypeError if `retries` is not an integer, and ValueError if it is negative or if the call is one of
    `with_raw_response`, which does not parse.
    """

    def __init__(self, params: dict[str, Any], retries: Any) -> None:
        if isinstance(retries, bool) or not isinstance(retries, int):
            raise TypeError(f"`validation_retries` must be an integer, not {retries!r}. Pass 0 for no retries.")
        if retries < 0:
            raise ValueError(f"`validation_retries` must be at least 0, not {retries}. Pass 0 for no retries.")
        self._retries_left = retries
        self.params = _with_lists(params) if retries else params

    def __enter__(self) -> None:
        self._errors: dict[str, Exception] = {}
        self._token: Token[Any] = _call_errors.set(self._errors)

    def __exit__(self, *_: object) -> None:
        _call_errors.reset(self._token)

    def add_errors(self, response: Any, text_error: Exception | None = None) -> bool:
        """Return whether to send another request, for which the response and its errors have been added to the input.

        `text_error` is the error of the text.
        """
        if not self._retries_left or (text_error is None and not self._errors):
            return False
        self._retries_left -= 1
        correction = _correction(response, text_error, self._errors)
        self.params = {**self.params, "input": [*self.params["input"], *response.output, *correction]}
        return True


def _with_lists(params: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters with `input` as a list, which may be in `extra_body`, and `tools` as a list."""
    if "X-Stainless-Raw-Response" in (params.get("extra_headers") or {}):
        raise ValueError(
            "`validation_retries` needs the parsed response, which a raw response does not have. Call "
            "`client.responses.parse()` without `with_raw_response` and `with_streaming_response`."
        )
    params = {**params}
    extra_body = params.get("extra_body")
    if isinstance(extra_body, Mapping) and "input" in extra_body:
        params["input"] = extra_body["input"]
        params["extra_body"] = {name: value for name, value in extra_body.items() if name != "input"}
    value = params.get("input")
    if isinstance(value, str):
        params["input"] = [{"role": "user", "content": value}]
    elif isinstance(value, Mapping):
        params["input"] = [value]
    elif isinstance(value, Iterable):
        params["input"] = list(value)
    if isinstance(params.get("tools"), Iterable):
        params["tools"] = list(params["tools"])
    return params


def _correction(response: Any, text_error: Exception | None, call_errors: dict[str, Exception]) -> list[dict[str, Any]]:
    """Return the input items that follow the output: an output for each call, and a message with the errors."""
    outputs = [
        {"type": _OUTPUT_TYPES[item.type], "call_id": item.call_id, "output": _NOT_RUN}
        for item in response.output
        if item.type in _OUTPUT_TYPES
    ]
    names = {item.call_id: item.name for item in response.output if item.type == "function_call"}
    problems = [
        f"The arguments of your call of `{names[call_id]}` are invalid:\n{describe_errors(error)}"
        for call_id, error in call_errors.items()
    ]
    if text_error is not None:
        problems.insert(0, f"Your text does not match the required format:\n{describe_errors(text_error)}")
    text = "\n\n".join([*problems, "Correct this, and send the whole response again."])
    return [*outputs, {"type": "message", "role": "user", "content": text}]


def describe_errors(error: Exception) -> str:
    """Return one line for each error, with its place and the validator's message, without the value."""
    if not isinstance(error, ValidationError):
        return f"- {error}"
    details = error.errors(include_url=False, include_context=False, include_input=False)
    lines = [f"- {'.'.join(map(str, detail['loc'])) or 'value'}: {detail['msg']}" for detail in details[:_MAX_ERRORS]]
    if len(details) > _MAX_ERRORS:
        lines.append(f"- and {len(details) - _MAX_ERRORS} more errors")
    return "\n".join(lines)
