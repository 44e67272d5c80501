"""Implement `client.codex`: the endpoints that only the Codex backend has.

The ChatGPT endpoints under `/wham` report usage, workspaces and reset credits. Codex CLI: backend-client/src/client.rs.
The requests use the `get` and `post` of the client, so they are signed and retried like any other call. The async
classes have the same methods as coroutines; the sync docstrings have the details.
"""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

import openai

from .._routing.resolver import ACCOUNTS_CHECK_PATH, cached_routing
from .._routing.workspace_parsing import parse_workspaces
from ..limits.limit_parsing import parse_reset_credits, parse_reset_result, parse_usage_report

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator
    from datetime import timedelta
    from typing import Literal, Unpack

    from typing_extensions import TypeVar as TypeVarWithDefault

    from .._routing.resolver import RoutedClient
    from ..batch.batch import AsyncBatch, Batch
    from ..batch.results import BatchProgress
    from ..conversation.conversation import AsyncConversation, Conversation, ConversationOptions
    from ..limits.limit_types import RateLimits, ResetCredits, ResetResult, UsageReport
    from ..limits.tracker import LimitsTracker
    from ..limits.usage_history import UsageHistory
    from ..types import Routing, Workspace
    from .explain_report import Explanation

    _FormatT = TypeVarWithDefault("_FormatT", default=Any)

__all__ = ["AsyncCodex", "AsyncResetCreditsResource", "Codex", "ResetCreditsResource"]

_ClientT = TypeVar("_ClientT", openai.OpenAI, openai.AsyncOpenAI)

_USAGE: Final = "/wham/usage"
_RESET_CREDITS: Final = "/wham/rate-limit-reset-credits"
_CONSUME: Final = f"{_RESET_CREDITS}/consume"


class _BaseCodex(Generic[_ClientT]):
    """The attributes that need no request, shared by both clients."""

    def __init__(self, client: _ClientT, *, limits: LimitsTracker) -> None:
        self._client: _ClientT = client
        self._limits = limits

    @property
    def limits(self) -> RateLimits | None:
        """The usage limits that the newest response reported, or None before the first response.

        Every model response and every usage-limit error reports them, so this sends no request. A client and its
        copies share them. `refresh_limits()` requests them.
        """
        return self._limits.newest

    @property
    def usage_history(self) -> UsageHistory | None:
        """The stored usage limits, or None if the client stores none; see the argument `usage_history`."""
        return self._limits.history

    @property
    def routing(self) -> Routing | None:
        """The routing of the model requests of this login, or None if it is not known yet. Sends no request."""
        return cached_routing(cast("RoutedClient", self._client))


class Codex(_BaseCodex[openai.OpenAI]):
    """The usage, limits, workspaces and reset credits of the account, and explanations of calls."""

    @cached_property
    def reset_credits(self) -> ResetCreditsResource:
        """Credits that reset the plan's limits early."""
        return ResetCreditsResource(self._client)

    def usage(self) -> dict[str, Any]:
        """Request the plan's usage and return the JSON object of the backend.

        Its fields are `plan_type`, `rate_limit` (with `primary_window` and `secondary_window`, each with
        `used_percent`, `limit_window_seconds` and `reset_at` in unix seconds), `additional_rate_limits`, `credits` and
        others. `usage_report()` returns the same data as typed values.
        """
        return cast("dict[str, Any]", self._client.get(_USAGE, cast_to=object))

    def usage_report(self) -> UsageReport:
        """Request the plan's usage and return it as typed values: limits, usable models, number of reset credits."""
        return parse_usage_report(self.usage(), received_at=self._limits.now())

    def refresh_limits(self) -> RateLimits:
        """Request the usage limits of the plan and return them."""
        return self.usage_report().limits

    def workspaces(self) -> list[Workspace]:
        """Request the workspaces (ChatGPT accounts) that the login belongs to."""
        return parse_workspaces(self._client.get(ACCOUNTS_CHECK_PATH, cast_to=object))

    def conversation(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        redact: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        **options: Unpack[ConversationOptions],
    ) -> Conversation:
        """Start a conversation, or continue the one in a file. Sends no request.

        A conversation keeps its history, in memory or in the file, and its calls continue it:

            with client.codex.conversation("chat.jsonl", instructions="Be brief.") as conversation:
                print(conversation.send("Hello").output_text)

        Settings that you pass replace those in the file; all others are taken from it.

        Args:
            path: The file. It is created, with mode 0600, if it does not exist, and each item is appended to it as soon
                as it is finished. None keeps the conversation in memory; `save(path)` writes it later.
            redact: Function that is called with each record before it is written, and returns what to write.
            model: The model (default: that of the client).
            instructions: The instructions (default: those of the client).
            tools: The definitions of the tools.
            effort: The effort of the reasoning. Unlike `reasoning={"effort": ...}`, it can be changed later without
                losing the prompt cache.
            verbosity: The verbosity of the text.
            auto_compact: Whether to compact the history when it approaches the limit of the model, or the number of
                tokens from which to compact it.
            keep_partial: Whether an interrupted response stays in the history as far as it was received.
            repair: Whether a call without an output gets one before the history is sent, and an output without a call
                is removed. Otherwise they raise HistoryError.
            on_compaction: Function that is called after each compaction.
            transport: How to send the calls of this conversation (default: as the client).
            **options: Other parameters of `responses.create` for every call.

        Raises JournalLockedError if another process has the file open, and JournalError if it is not a conversation.
        """
        from ..conversation.conversation import Conversation, new_conversation  # openai's parser is slow to import
        from ..conversation.conversation_file import ConversationFile

        file = (
            ConversationFile(redact=redact) if path is None else ConversationFile.open(path, create=True, redact=redact)
        )
        return new_conversation(Conversation, self._client, file, **options)

    def load_conversation(
        self,
        path: str | os.PathLike[str],
        *,
        read_only: bool = False,
        redact: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        **options: Unpack[ConversationOptions],
    ) -> Conversation:
        """Continue the conversation in a file, which must exist; see `conversation`.

        With `read_only=True` the file may be open in another process, and nothing can be sent. Raises FileNotFoundError
        if there is no such file.
        """
        from ..conversation.conversation import Conversation, new_conversation  # as above
        from ..conversation.conversation_file import ConversationFile

        file = ConversationFile.open(path, read_only=read_only, redact=redact)
        return new_conversation(Conversation, self._client, file, **options)

    def batch(
        self,
        requests: Iterable[str | dict[str, Any]],
        *,
        concurrency: int | None = None,
        journal: str | os.PathLike[str] | None = None,
        on_progress: Callable[[BatchProgress], object] | None = None,
        ordered: bool = False,
        stop_at: float | None = None,
        wait_for_limit: bool | None = None,
        max_wait: timedelta | None = None,
        on_change: Literal["error", "redo", "keep"] = "error",
        dedupe: bool = False,
        retry_failed: bool = False,
        text_format: type[_FormatT] | dict[str, Any] | None = None,
        retries: int | None = None,
        dask: Any = None,
        connect: Callable[[], openai.OpenAI] | None = None,
        **params: Any,
    ) -> Batch[_FormatT]:
        """Send many requests with bounded concurrency. Nothing is sent until the batch is iterated.

            for result in client.codex.batch(["First prompt", "Second prompt"], journal="batch.journal"):
                print(result.custom_id, result.output_text)

        The batch reads and checks all lines before it sends the first request. It retries a request as the client does,
        at least four times, and adapts the number of concurrent requests to the backend.

        Args:
            requests: The lines, as an iterable that is read once: a prompt, the parameters of `responses.create()`
                with an optional `custom_id`, or a line of the official Batch API (`{"custom_id": ..., "body": ...}`).
                `codex_backend_sdk.batch.read_requests(path)` reads them from a file.
            concurrency: The maximum number of concurrent requests (default: it starts at 4 and adapts).
            journal: The file that stores the finished lines, with mode 0600. A later batch with the same journal does
                not send them again.
            on_progress: Function that is called with the `BatchProgress` after results, and every second.
            ordered: Whether to yield the results in the order of the lines. By default, a result is yielded when its
                line is finished.
            stop_at: The percentage of a usage limit at which the batch stops starting requests: 90 for 90 %.
            wait_for_limit: Whether to wait for the reset of a usage limit (default: as the client).
            max_wait: The longest wait for one reset.
            on_change: The action if the request of a finished line has changed: raise an `"error"` before the first
                request, `"redo"` the line, or `"keep"` its result.
            dedupe: Whether to send the same request only once.
            retry_failed: Whether to send failed lines again even if their error is permanent, such as a policy.
            text_format: The format of the responses: a class, as for `responses.parse()`, or a JSON schema. If an
                output does not match, the request is sent once more; then the line fails.
            retries: The maximum number of retries of each request (default: that of the client, at least 4).
            dask: The address of a Dask scheduler, or a `distributed.Client`: its workers send the requests. Requires
                the extra `dask` and the sync client.
            connect: Function that returns a logged-in `OpenAI` on a Dask worker. It is pickled, so it must not contain
                a token (default: a client with the options of this one and the worker's own login).
            **params: Parameters of `responses.create()` for lines that do not have them.
        """
        from ..batch.batch import Batch  # few programs use it
        from ..batch.run import BatchOptions

        options = BatchOptions(
            concurrency=concurrency,
            journal=journal,
            on_progress=on_progress,
            ordered=ordered,
            stop_at=stop_at,
            wait_for_limit=wait_for_limit,
            max_wait=max_wait,
            on_change=on_change,
            dedupe=dedupe,
            retry_failed=retry_failed,
            text_format=text_format,
            retries=retries,
            dask=dask,
            connect=connect,
            defaults=params,
        )
        return Batch(self._client, requests, options)

    def explain(self, **params: Any) -> Explanation:
        """Explain a call of `client.responses.create()` with these parameters. Sends no request.

        The explanation lists what the client rejects, drops and changes, estimates the input's tokens, and shows the
        prepared request without its secrets. Print it for a summary. An iterator among the parameters is consumed.

        Raises TypeError if `create()` itself cannot handle an argument, for example `extra_headers=7`.
        """
        from .explain import explain  # the only method that needs the official resource, which is slow to import

        return explain(self._client, params)


class AsyncCodex(_BaseCodex[openai.AsyncOpenAI]):
    """The usage, limits, workspaces and reset credits of the account, and explanations of calls."""

    @cached_property
    def reset_credits(self) -> AsyncResetCreditsResource:
        """Credits that reset the plan's limits early."""
        return AsyncResetCreditsResource(self._client)

    async def usage(self) -> dict[str, Any]:
        """Request the plan's usage and return the JSON object of the backend; see `Codex.usage`."""
        return cast("dict[str, Any]", await self._client.get(_USAGE, cast_to=object))

    async def usage_report(self) -> UsageReport:
        """Request the plan's usage and return it as typed values: limits, usable models, number of reset credits."""
        return parse_usage_report(await self.usage(), received_at=self._limits.now())

    async def refresh_limits(self) -> RateLimits:
        """Request the usage limits of the plan and return them."""
        return (await self.usage_report()).limits

    async def workspaces(self) -> list[Workspace]:
        """Request the workspaces (ChatGPT accounts) that the login belongs to."""
        return parse_workspaces(await self._client.get(ACCOUNTS_CHECK_PATH, cast_to=object))

    def conversation(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        redact: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        **options: Unpack[ConversationOptions],
    ) -> AsyncConversation:
        """Start a conversation, or continue the one in a file; see `Codex.conversation`.

        Entering it with `async with` opens the file.
        """
        from ..conversation.conversation import AsyncConversation, new_conversation  # as above
        from ..conversation.conversation_file import ConversationFile

        opening = partial(ConversationFile.open, path, create=True, redact=redact) if path is not None else None
        file = opening or ConversationFile(redact=redact)
        return new_conversation(AsyncConversation, self._client, file, **options)

    def load_conversation(
        self,
        path: str | os.PathLike[str],
        *,
        read_only: bool = False,
        redact: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        **options: Unpack[ConversationOptions],
    ) -> AsyncConversation:
        """Continue the conversation in a file, which must exist; see `Codex.load_conversation`.

        `async with` or `await` opens the file.
        """
        from ..conversation.conversation import AsyncConversation, new_conversation  # as above
        from ..conversation.conversation_file import ConversationFile

        opening = partial(ConversationFile.open, path, read_only=read_only, redact=redact)
        return new_conversation(AsyncConversation, self._client, opening, **options)

    def batch(
        self,
        requests: Iterable[str | dict[str, Any]],
        *,
        concurrency: int | None = None,
        journal: str | os.PathLike[str] | None = None,
        on_progress: Callable[[BatchProgress], object] | None = None,
        ordered: bool = False,
        stop_at: float | None = None,
        wait_for_limit: bool | None = None,
        max_wait: timedelta | None = None,
        on_change: Literal["error", "redo", "keep"] = "error",
        dedupe: bool = False,
        retry_failed: bool = False,
        text_format: type[_FormatT] | dict[str, Any] | None = None,
        retries: int | None = None,
        dask: Any = None,
        connect: Callable[[], openai.OpenAI] | None = None,
        **params: Any,
    ) -> AsyncBatch[_FormatT]:
        """Send many requests with bounded concurrency; see `Codex.batch`. Iterate over it with `async for`."""
        from ..batch.batch import AsyncBatch  # few programs use it
        from ..batch.run import BatchOptions

        options = BatchOptions(
            concurrency=concurrency,
            journal=journal,
            on_progress=on_progress,
            ordered=ordered,
            stop_at=stop_at,
            wait_for_limit=wait_for_limit,
            max_wait=max_wait,
            on_change=on_change,
            dedupe=dedupe,
            retry_failed=retry_failed,
            text_format=text_format,
            retries=retries,
            dask=dask,
            connect=connect,
            defaults=params,
        )
        return AsyncBatch(self._client, requests, options)

    async def explain(self, **params: Any) -> Explanation:
        """Explain a call of `client.responses.create()` with these parameters; see `Codex.explain`."""
        from .explain import explain  # as above

        return explain(self._client, params)


class ResetCreditsResource:
    """The account's reset credits. The backend offers them to some plans only."""

    def __init__(self, client: openai.OpenAI) -> None:
        self._client = client

    def list(self) -> ResetCredits:
        """Request the reset credits. Raises openai.NotFoundError if the account cannot have any."""
        with _add_remedies():
            return parse_reset_credits(self._client.get(_RESET_CREDITS, cast_to=object))

    def consume(self, credit_id: str | None = None, *, redeem_request_id: str | None = None) -> ResetResult:
        """Use the reset credit with this ID, or one that the backend chooses.

        `redeem_request_id` makes the request idempotent: a second call with the same value uses no second credit. By
        default, every call creates a new value, which its retries share. If the call fails, a note of the exception
        contains it. Raises openai.NotFoundError if the account cannot have reset credits.
        """
        key = redeem_request_id or str(uuid.uuid4())
        with _add_remedies(key):
            result = self._client.post(_CONSUME, body=_consume_body(credit_id, key), cast_to=object)
            return parse_reset_result(result, redeem_request_id=key)


class AsyncResetCreditsResource:
    """The account's reset credits. The backend offers them to some plans only."""

    def __init__(self, client: openai.AsyncOpenAI) -> None:
        self._client = client

    async def list(self) -> ResetCredits:
        """Request the reset credits. Raises openai.NotFoundError if the account cannot have any."""
        with _add_remedies():
            return parse_reset_credits(await self._client.get(_RESET_CREDITS, cast_to=object))

    async def consume(self, credit_id: str | None = None, *, redeem_request_id: str | None = None) -> ResetResult:
        """Use the reset credit with this ID, or one that the backend chooses; see `ResetCreditsResource.consume`."""
        key = redeem_request_id or str(uuid.uuid4())
        with _add_remedies(key):
            result = await self._client.post(_CONSUME, body=_consume_body(credit_id, key), cast_to=object)
            return parse_reset_result(result, redeem_request_id=key)


def _consume_body(credit_id: str | None, key: str) -> dict[str, str]:
    return {"redeem_request_id": key} | ({} if credit_id is None else {"credit_id": credit_id})


@contextmanager
def _add_remedies(key: str | None = None) -> Iterator[None]:
    """Add a remedy to the errors of reset credits. `key` is the `redeem_request_id` of a call that uses a credit."""
    try:
        yield
    except openai.NotFoundError as error:
        error.message = (
            f"The backend has no reset credits for this account, or none with this ID ({error.message}). "
            "Check `client.codex.usage_report().reset_credits`."
        )
        error.args = (error.message,)
        raise
    except openai.APIError as error:
        if key is not None:
            error.add_note(
                "The credit may have been used. Call "
                f"`consume(redeem_request_id={key!r})` to retry: it uses no second credit."
            )
        raise
