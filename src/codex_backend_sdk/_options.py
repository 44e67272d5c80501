"""Options of a client: the official arguments, typed, and the arguments of this package, validated.

`OpenAI(...)` takes the official arguments and the arguments of this package. A `TypedDict` lists the official arguments
for type checkers, completion and `help()`; a test compares it with the installed `openai`. Three official arguments are
missing on purpose: they select another authentication or another host, which the ChatGPT login replaces.

The arguments of this package are validated once, when a client is constructed or copied, and stored as `ClientOptions`.
"""

from __future__ import annotations

import inspect
import math
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, NamedTuple, TypedDict, TypeVar, cast, get_args

import httpx2
import openai

from ._coerce import sanitize_header_value
from ._constants import DEFAULT_INSTRUCTIONS, DEFAULT_MAX_EVENT_BYTES, DEFAULT_MODEL, DEFAULT_ORIGINATOR, TRANSPORT_ENV

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "REPLACED_BY_LOGIN",
    "ClientOptions",
    "InstructionsForm",
    "OfficialCopyOptions",
    "OfficialOptions",
    "OnInterrupt",
    "RetryOptions",
    "TimeoutOptions",
    "Transport",
    "UnsupportedPolicy",
    "add_options_to_signature",
    "require_callback",
]

HttpClientT = TypeVar("HttpClientT", bound="httpx2.Client | httpx2.AsyncClient")
KeyFunctionT = TypeVar("KeyFunctionT")

UnsupportedPolicy = Literal["raise", "drop"]
OnInterrupt = Literal["raise", "restart"]
InstructionsForm = Literal["auto", "parameter", "message"]
Transport = Literal["auto", "http", "websocket"]

# Official arguments that select another authentication or another host. The ChatGPT login replaces them.
REPLACED_BY_LOGIN: Final = ("provider", "workload_identity", "data_residency")
# `time.sleep` and `select` reject longer waits on some systems.
_MAX_SECONDS: Final = 1e9


class OfficialOptions(TypedDict, Generic[HttpClientT, KeyFunctionT], total=False):
    """The arguments of the official constructor."""

    api_key: str | KeyFunctionT | None
    admin_api_key: str | None
    organization: str | None
    project: str | None
    webhook_secret: str | None
    base_url: str | httpx2.URL | openai.NotGiven | None
    websocket_base_url: str | httpx2.URL | None
    timeout: float | openai.Timeout | openai.NotGiven | None
    max_retries: int
    default_headers: Mapping[str, str] | None
    default_query: Mapping[str, object] | None
    http_client: HttpClientT | None
    _strict_response_validation: bool


class OfficialCopyOptions(OfficialOptions[HttpClientT, KeyFunctionT], Generic[HttpClientT, KeyFunctionT], total=False):
    """The official arguments of `copy()` and `with_options()`."""

    set_default_headers: Mapping[str, str] | None
    set_default_query: Mapping[str, object] | None


class RetryOptions(NamedTuple):
    """Retry options in addition to the official `max_retries`.

    `deadline_seconds` limits all attempts and the waits between them. `max_retry_after` (seconds) is the longest wait
    that the backend may request. `wait_for_limit` limits the wait for the reset of an exhausted limit.
    """

    deadline_seconds: float | None = None
    max_retry_after: float = 60.0
    wait_for_limit: timedelta = timedelta(0)
    on_interrupt: OnInterrupt = "raise"


class TimeoutOptions(NamedTuple):
    """Timeouts for the parts of a call, in seconds. `math.inf` means no limit.

    None selects the official `timeout` for the first three. `total` limits a whole call, including its attempts and the
    waits between them; None means no limit.
    """

    connect: float | None = None
    first_byte: float | None = None
    idle: float | None = None
    total: float | None = None


class ClientOptions(NamedTuple):
    """The validated options of this package, shared by a client and its copies."""

    model: str
    instructions: str
    originator: str
    unsupported: UnsupportedPolicy
    retries: RetryOptions
    timeouts: TimeoutOptions
    max_event_bytes: float = DEFAULT_MAX_EVENT_BYTES
    codex_events: bool = False
    transport: Transport = "auto"
    prompt_cache: bool = True
    instructions_as: InstructionsForm = "auto"

    @classmethod
    def from_arguments(
        cls,
        *,
        model: str | None,
        instructions: str | None,
        originator: str | None,
        unsupported: UnsupportedPolicy,
        connect_timeout: float | None,
        first_byte_timeout: float | None,
        idle_timeout: float | None,
        total_timeout: float | None,
        on_interrupt: OnInterrupt,
        retry_deadline: float | None,
        max_retry_after: float,
        wait_for_limit: timedelta | None,
        max_event_bytes: float,
        codex_events: bool,
        transport: Transport | None,
        prompt_cache: bool,
        instructions_as: InstructionsForm,
    ) -> ClientOptions:
        """Validate the arguments of the constructor. Raises TypeError or ValueError for an invalid argument."""
        _require_choice("unsupported", unsupported, get_args(UnsupportedPolicy))
        _require_choice("on_interrupt", on_interrupt, get_args(OnInterrupt))
        transport_name = "transport" if transport is not None else TRANSPORT_ENV
        transport = transport or cast("Transport", os.environ.get(TRANSPORT_ENV)) or "auto"
        _require_choice(transport_name, transport, get_args(Transport))
        _require_choice("instructions_as", instructions_as, get_args(InstructionsForm))
        if max_retry_after is None:
            raise TypeError("`max_retry_after` must be a number of seconds, not None. Pass `math.inf` for no limit.")
        wait_for_limit = timedelta(0) if wait_for_limit is None else wait_for_limit
        if not isinstance(wait_for_limit, timedelta):
            raise TypeError(
                f"`wait_for_limit` must be a timedelta, such as `timedelta(hours=6)`, not {wait_for_limit!r}."
            )
        return cls(
            model=model or DEFAULT_MODEL,
            instructions=DEFAULT_INSTRUCTIONS if instructions is None else instructions,
            originator=sanitize_header_value(originator or DEFAULT_ORIGINATOR),
            unsupported=unsupported,
            retries=RetryOptions(
                deadline_seconds=_seconds("retry_deadline", retry_deadline),
                max_retry_after=_seconds("max_retry_after", max_retry_after) or 0.0,
                wait_for_limit=wait_for_limit,
                on_interrupt=on_interrupt,
            ),
            timeouts=TimeoutOptions(
                connect=_seconds("connect_timeout", connect_timeout),
                first_byte=_seconds("first_byte_timeout", first_byte_timeout),
                idle=_seconds("idle_timeout", idle_timeout),
                total=_seconds("total_timeout", total_timeout),
            ),
            max_event_bytes=_bytes("max_event_bytes", max_event_bytes),
            codex_events=codex_events,
            transport=transport,
            prompt_cache=prompt_cache,
            instructions_as=instructions_as,
        )

    def as_arguments(self) -> dict[str, Any]:
        """Return the arguments of the constructor that produce these options."""
        return {
            "model": self.model,
            "instructions": self.instructions,
            "originator": self.originator,
            "unsupported": self.unsupported,
            "connect_timeout": self.timeouts.connect,
            "first_byte_timeout": self.timeouts.first_byte,
            "idle_timeout": self.timeouts.idle,
            "total_timeout": self.timeouts.total,
            "on_interrupt": self.retries.on_interrupt,
            "retry_deadline": self.retries.deadline_seconds,
            "max_retry_after": self.retries.max_retry_after,
            "wait_for_limit": self.retries.wait_for_limit,
            "max_event_bytes": self.max_event_bytes,
            "codex_events": self.codex_events,
            "transport": self.transport,
            "prompt_cache": self.prompt_cache,
            "instructions_as": self.instructions_as,
        }


def add_options_to_signature(function: Callable[..., Any], options: type) -> None:
    """Replace `**official` by the keys of a TypedDict in the signature that `help()` and completion show."""
    signature = inspect.signature(function)
    named = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    official = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=openai.NOT_GIVEN,
            annotation=str(getattr(hint, "__forward_arg__", hint)),
        )
        for name, hint in options.__annotations__.items()
        if not name.startswith("_")
    ]
    function.__signature__ = signature.replace(parameters=[*named, *official])  # type: ignore[attr-defined]


def require_callback(name: str, function: object) -> None:
    """Raise TypeError unless `function` is None or a synchronous function."""
    if function is not None and (inspect.iscoroutinefunction(function) or not callable(function)):
        raise TypeError(
            f"`{name}` must be a synchronous function, not {function!r}. Start a task or fill a queue in it."
        )


def _require_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"`{name}` must be {_joined(choices)}, not {value!r}.")


def _joined(choices: tuple[str, ...]) -> str:
    *others, last = map(repr, choices)
    return f"{', '.join(others)} or {last}"


def _seconds(name: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"`{name}` must be a number of seconds, not {value!r}. Pass `math.inf` for no limit.")
    if not (0 <= value <= _MAX_SECONDS or value == math.inf):  # also rejects NaN
        raise ValueError(
            f"`{name}` must be 0 to {_MAX_SECONDS:g} seconds, not {value!r}. Pass `math.inf` for no limit."
        )
    return value


def _bytes(name: str, value: float) -> float:
    if isinstance(value, bool) or not (isinstance(value, int) or value == math.inf):
        raise TypeError(f"`{name}` must be a whole number of bytes, not {value!r}. Pass `math.inf` for no limit.")
    if value < 1:
        raise ValueError(f"`{name}` must be at least 1 byte, not {value!r}. Pass `math.inf` for no limit.")
    return value
