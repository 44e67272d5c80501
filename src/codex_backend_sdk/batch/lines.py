"""Read the lines of a batch, identify them, and write result lines in the format of the official Batch API.

A request is one of three forms:

    "text"                                                             a prompt
    {"input": …, "custom_id": "a", …}                                  parameters of `responses.create()`
    {"custom_id": "a", "method": "POST", "url": "/v1/responses", "body": {…}}     the official form

A line is identified by its `custom_id` and the hash of its effective request: the parameters after the defaults of the
batch and the client were filled in. A line without `custom_id` gets one from the hash, with a number for the second and
further lines of the same request, so that it keeps its identity when other lines are inserted or removed.

A result line has the members of the official output: `id`, `custom_id`, `response` (`status_code`, `request_id`,
`body`) and `error`. In a line for a failure, `error` is never null, so that it cannot be taken for a result.
Source: https://platform.openai.com/docs/api-reference/batch/request-output

Pure: no I/O, clock or randomness.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from string import Formatter
from typing import TYPE_CHECKING, Any, Final

from .._exceptions import BatchInputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "DELIVERY_PARAMETERS",
    "BatchRequest",
    "describe_error",
    "failure_line",
    "fill_template",
    "generated_id",
    "hash_id",
    "hash_request",
    "parse_request",
    "result_line",
]

_OFFICIAL_MEMBERS: Final = frozenset({"custom_id", "method", "url", "body"})
_URLS: Final = ("/v1/responses", "/responses")
_MAX_ID_LENGTH: Final = 512
_MAX_COLUMNS_NAMED: Final = 20  # in an error message
# Parameters that say how a response is delivered. A batch always receives complete responses.
DELIVERY_PARAMETERS: Final = frozenset({"stream", "stream_options", "background"})


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """A line of a batch: its position from 0, its id, the parameters of `responses.create()`, and the hashes."""

    index: int
    custom_id: str
    params: dict[str, Any]
    id_hash: int
    request_hash: int


def parse_request(value: object, *, number: int) -> tuple[str | None, dict[str, Any]]:
    """Return the `custom_id`, or None, and the parameters of a line. `number` is the line's, from 1, for the error.

    Raises BatchInputError for anything that is none of the three forms.
    """
    if isinstance(value, str):
        if not value.strip():
            raise _invalid(number, "it is empty. Remove it")
        return None, {"input": value}
    if not isinstance(value, dict):
        raise _invalid(number, f"it is a JSON {type(value).__name__}. Write a text or an object")
    custom_id = value.get("custom_id")
    if custom_id is not None and not (isinstance(custom_id, str) and 0 < len(custom_id) <= _MAX_ID_LENGTH):
        raise _invalid(number, f"its `custom_id` is {custom_id!r:.40}. Use a text of 1 to {_MAX_ID_LENGTH} characters")
    params = _official_body(value, number) if "body" in value else {k: v for k, v in value.items() if k != "custom_id"}
    for name in DELIVERY_PARAMETERS:
        params.pop(name, None)
    if not params.get("input"):
        raise _invalid(number, "it has no `input`. Write a prompt, or pass a template for columns of your own")
    return custom_id, params


def _official_body(line: dict[str, Any], number: int) -> dict[str, Any]:
    body, url, method = line["body"], line.get("url", _URLS[0]), line.get("method", "POST")
    unknown = sorted(line.keys() - _OFFICIAL_MEMBERS)
    if unknown:
        raise _invalid(number, f"it has the member {unknown[0]!r} beside `body`. Move it into `body`, or remove it")
    if url not in _URLS or method != "POST":
        raise _invalid(
            number, f"it is for {method!s:.20} {url!s:.60}. The Codex backend has only POST /v1/responses: convert it"
        )
    if not isinstance(body, dict):
        raise _invalid(number, "its `body` is not an object. Write the parameters of `responses.create()`")
    return dict(body)


def _invalid(number: int, problem: str) -> BatchInputError:
    return BatchInputError(f"Line {number} of the batch is invalid: {problem}. No request was sent.")


def fill_template(template: str, row: Mapping[str, Any], *, number: int) -> str:
    """Return the prompt of a row of columns, such as `Translate: {text}`. `{{` and `}}` are braces.

    Raises BatchInputError if the template needs a column that the row does not have, if all of its columns are empty,
    or if it is not a template.
    """
    try:
        prompt = _Template().vformat(template, (), row)
    except KeyError as error:
        columns = ", ".join(map(str, islice(row, _MAX_COLUMNS_NAMED))) or "no columns"
        columns += f" and {len(row) - _MAX_COLUMNS_NAMED:,} others" if len(row) > _MAX_COLUMNS_NAMED else ""
        raise BatchInputError(
            f"Line {number} of the batch has no column {error.args[0]!r}, which the template needs. It has {columns}. "
            "No request was sent."
        ) from None
    except ValueError as error:
        raise BatchInputError(
            f"The template {template!r:.80} is invalid: {error}. Write names of columns in braces, and `{{{{` for a "
            "brace. No request was sent."
        ) from None
    names = [name for _, name, _, _ in Formatter().parse(template) if name is not None]
    if names and all(row[name] in (None, "") for name in names):
        raise _invalid(
            number, f"the values for the template are empty ({', '.join(names):.80}). Fill them in, or remove it"
        )
    return prompt


class _Template(Formatter):
    """Replace fields by columns, whose names may have any characters. Attributes of values are not accessible."""

    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[str, str]:
        value = kwargs[field_name]
        return "" if value is None else str(value), field_name


# --- identity --------------------------------------------------------------------------------------------------------


def hash_id(custom_id: str) -> int:
    """Return 64 bits that stand for a `custom_id`."""
    return _hash(custom_id.encode("utf-8", "surrogatepass"))


def hash_request(params: Mapping[str, Any], *, number: int) -> int:
    """Return 64 bits that stand for the effective parameters. The order of their names has no influence.

    Raises BatchInputError if a parameter is not JSON data.
    """
    try:
        text = json.dumps(params, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise _invalid(number, f"a parameter is not JSON data ({error}). Convert it") from None
    return _hash(text.encode())


def generated_id(request_hash: int, occurrence: int) -> str:
    """Return the id of a line without `custom_id`. `occurrence` counts the lines with this request, from 1."""
    return f"request-{request_hash:016x}" + (f"-{occurrence}" if occurrence > 1 else "")


def _hash(data: bytes) -> int:
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "little")


# --- results ---------------------------------------------------------------------------------------------------------


def result_line(request: BatchRequest, body: dict[str, Any], *, request_id: str | None) -> dict[str, Any]:
    """Return the output line of a complete response."""
    return _line(request, {"status_code": 200, "request_id": request_id, "body": body}, None)


def failure_line(
    request: BatchRequest,
    error: dict[str, Any],
    *,
    body: dict[str, Any] | None = None,
    status_code: int | None = None,
    request_id: str | None = None,
) -> dict[str, Any]:
    """Return the line of a failure. `body` is that of an incomplete or invalid response, else the error is the body."""
    if body is None and status_code is None:
        return _line(request, None, error)
    response = {"status_code": status_code or 200, "request_id": request_id, "body": body or {"error": error}}
    return _line(request, response, error)


def _line(request: BatchRequest, response: dict[str, Any] | None, error: dict[str, Any] | None) -> dict[str, Any]:
    line_id = f"batch_req_{request.id_hash:016x}{request.request_hash:016x}"
    return {"id": line_id, "custom_id": request.custom_id, "response": response, "error": error}


def describe_error(error: BaseException) -> dict[str, Any]:
    """Return the `error` of a line: the code, the message, the class and whether the same request may succeed later."""
    return {
        "code": getattr(error, "code", None) or _snake_case(type(error).__name__.removesuffix("Error")),
        "message": getattr(error, "message", None) or str(error) or type(error).__name__,
        "type": type(error).__name__,
        "is_retryable": bool(getattr(error, "is_retryable", False)),
    }


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
