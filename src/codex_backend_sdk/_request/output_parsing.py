"""Parse the output of a response, for `responses.parse()` and the stream helper, without losing the response.

openai's parser raises pydantic.ValidationError or json.JSONDecodeError for the first text or strict tool call that does
not match, and the response is lost. Here an incomplete response is returned unparsed, a call whose arguments do not
match is returned with `parsed_arguments=None`, and a text that does not match raises OutputValidationError, which has
the response.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from openai import omit

from .._exceptions import OutputValidationError
from .._upstream import parse_response
from .validation_retries import describe_errors, record_call_error

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["parse_output"]


def parse_output(response: Any, parse: Callable[[Any], Any]) -> Any:
    """Return the parsed response. `parse` is openai's parser with the caller's format and tools.

    Raises OutputValidationError if a text of a complete response does not match the format.
    """
    if response.status == "incomplete":
        return _unparsed(response)
    try:
        return parse(response)
    except (ValueError, RecursionError):  # both pydantic's and the standard library's errors are ValueErrors
        pass
    parsed = _unparsed(response)
    text_error: ValueError | RecursionError | None = None
    for index, item in enumerate(response.output):
        try:
            parsed.output[index] = parse(response.model_copy(update={"output": [item]})).output[0]
        except (ValueError, RecursionError) as error:
            if item.type == "function_call":
                record_call_error(item.call_id, error)
            else:
                text_error = text_error or error
    if text_error is not None:
        raise OutputValidationError(
            "The text of the response does not match the format. `error.response_object` has the response. Send the "
            f"request again, or pass `validation_retries` to `parse()`.\n{describe_errors(text_error)}",
            response_object=response,
        ) from text_error
    return parsed


def _unparsed(response: Any) -> Any:
    return parse_response(text_format=omit, input_tools=None, response=response)
