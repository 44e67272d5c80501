"""The results of a batch, and what a run reports about itself."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .._json import decode, encode
from .response_formats import ResponseFormat

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from datetime import datetime

    from openai.types.responses import Response

    from ..limits.limit_types import RateLimits

__all__ = ["BatchError", "BatchProgress", "BatchResult", "read_results"]

_FormatT = TypeVar("_FormatT")


@dataclass(frozen=True, slots=True)
class BatchError:
    """The reason why a line failed.


    Attributes:
        code: The code of the backend, `incomplete`, `refusal`, `invalid_output`, or the class in snake case.
        message: What happened, and the remedy.
        type: The class of the exception.
        is_retryable: Whether the same request may succeed later. The next run with the journal sends it again.
    """

    code: str
    message: str
    type: str = ""
    is_retryable: bool = False


class BatchResult(Generic[_FormatT]):
    """The result of one line of a batch.

    Attributes:
        custom_id: The ID of the line, given or generated.
        index: The position of the line in the input, from 0. None for a result of `read_results`.
        is_from_journal: Whether an earlier run finished the line.
        validation_retries: How many times the request was sent again because the output did not match the format.
    """

    def __init__(
        self,
        line: dict[str, Any],
        *,
        index: int | None = None,
        is_from_journal: bool = False,
        validation_retries: int = 0,
        response_format: ResponseFormat[_FormatT] | None = None,
    ) -> None:
        self._line = line
        self._format = response_format
        self.custom_id: str = line.get("custom_id") or ""
        self.index = index
        self.is_from_journal = is_from_journal
        self.validation_retries = validation_retries

    def __repr__(self) -> str:
        outcome = "complete" if self.error is None else self.error.code
        return f"<BatchResult {self.custom_id!r}: {outcome}>"

    @cached_property
    def error(self) -> BatchError | None:
        """The reason why the line failed, or None."""
        error = self._line.get("error")
        status = (self._line.get("response") or {}).get("status_code", 200)
        if error is None and status < 400:
            return None
        if not isinstance(error, dict):  # a line of the official API: the error is in the body
            error = (self._line["response"].get("body") or {}).get("error") or {}
        return BatchError(
            code=str(error.get("code") or status),
            message=str(error.get("message") or ""),
            type=str(error.get("type") or ""),
            is_retryable=error.get("is_retryable") is True,
        )

    @cached_property
    def response(self) -> Response | None:
        """The response, also an incomplete or invalid one. None if there is none."""
        from .._streaming.events import build_response  # imports openai

        body = (self._line.get("response") or {}).get("body")
        return build_response(body) if isinstance(body, dict) and "output" in body else None

    @property
    def output_text(self) -> str:
        """The text of all output items; empty without a response."""
        body = (self._line.get("response") or {}).get("body") or {}
        parts = (
            part
            for item in body.get("output") or ()
            if item.get("type") == "message"
            for part in item.get("content") or ()
        )
        return "".join(part.get("text") or "" for part in parts if part.get("type") == "output_text")

    @cached_property
    def output_parsed(self) -> _FormatT | None:
        """The text as an instance of `text_format`, or as JSON data for a schema. None for a failure."""
        return None if self._format is None or self.error is not None else self._format.parse(self.output_text)

    def to_line(self) -> dict[str, Any]:
        """Return the output line in the format of the official Batch API: JSON data. Do not change it."""
        return self._line


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchProgress:
    """The state of a run. Counts are lines.

    Attributes:
        total: The number of lines in the input.
        completed: The lines with a complete response, in this run and in earlier ones.
        failed: The lines that failed.
        from_journal: The completed and failed lines that earlier runs finished.
        running: The requests that run now.
        concurrency: The number of requests that may run at the same time now.
        retries: The number of requests sent again: after errors, for outputs that did not match, and for lost workers.
        eta_seconds: The estimated time to the end, or None.
        limits: The newest usage limits of the plan, or None.
        paused_until: The reset that the run waits for, or None.
    """

    total: int = 0
    completed: int = 0
    failed: int = 0
    from_journal: int = 0
    running: int = 0
    concurrency: int = 0
    retries: int = 0
    eta_seconds: float | None = None
    limits: RateLimits | None = None
    paused_until: datetime | None = None

    @property
    def remaining(self) -> int:
        """The lines without a result."""
        return self.total - self.completed - self.failed


def read_results(
    output: str | os.PathLike[str], errors: str | os.PathLike[str] | None = None
) -> Iterator[BatchResult[Any]]:
    """Iterate over the results in an output file and, if given, in its file of failures. Both may end with `.gz`.

    Also reads the files of the official Batch API. The file of failures may be missing. Raises ValueError for a line
    that is not a result.
    """
    yield from _read(Path(output))
    if errors is not None and Path(errors).exists():
        yield from _read(Path(errors))


def _read(path: Path) -> Iterator[BatchResult[Any]]:
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        for number, text in enumerate(file, 1):
            if not text.strip():
                continue
            try:
                line = decode(text)
            except ValueError:
                line = None
            if not isinstance(line, dict) or "custom_id" not in line:
                raise ValueError(f"Line {number} of {path} is not a result of a batch: {text[:60]!r}. Check the file.")
            yield BatchResult(line)


def to_json_line(line: dict[str, Any]) -> bytes:
    """Return an output line with its newline."""
    return encode(line) + b"\n"
