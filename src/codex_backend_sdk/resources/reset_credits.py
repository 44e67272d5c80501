"""`client.codex.reset_credits`: credits that fill the limits up again before their time."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import openai

from ..limits.limit_parsing import parse_reset_credits, parse_reset_result

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..limits.limit_types import ResetCredits, ResetResult

__all__ = ["AsyncResetCreditsResource", "ResetCreditsResource"]

_PATH: Final = "/wham/rate-limit-reset-credits"
_CONSUME: Final = f"{_PATH}/consume"


class ResetCreditsResource:
    """The account's reset credits."""

    def __init__(self, client: openai.OpenAI) -> None:
        self._client = client

    def list(self) -> ResetCredits:
        """Return the reset credits. openai.NotFoundError for an account that the backend offers none."""
        with _explained():
            return parse_reset_credits(self._client.get(_PATH, cast_to=object))

    def consume(self, credit_id: str | None = None, *, redeem_request_id: str | None = None) -> ResetResult:
        """Use a reset credit up, now: the one with this id, or the one that the backend chooses.

        Asking again with the same `redeem_request_id` uses no second credit; without one each call makes its own, which
        all of its attempts share and a failed call's exception names in a note. openai.NotFoundError as for `list`.
        """
        key = redeem_request_id or str(uuid.uuid4())
        with _explained(key):
            body = _consume_body(credit_id, redeem_request_id=key)
            return parse_reset_result(self._client.post(_CONSUME, body=body, cast_to=object), redeem_request_id=key)


class AsyncResetCreditsResource:
    """The account's reset credits."""

    def __init__(self, client: openai.AsyncOpenAI) -> None:
        self._client = client

    async def list(self) -> ResetCredits:
        """Return the reset credits. openai.NotFoundError for an account that the backend offers none."""
        with _explained():
            return parse_reset_credits(await self._client.get(_PATH, cast_to=object))

    async def consume(self, credit_id: str | None = None, *, redeem_request_id: str | None = None) -> ResetResult:
        """Use a reset credit up, now: the one with this id, or the one that the backend chooses.

        Asking again with the same `redeem_request_id` uses no second credit; without one each call makes its own, which
        all of its attempts share and a failed call's exception names in a note. openai.NotFoundError as for `list`.
        """
        key = redeem_request_id or str(uuid.uuid4())
        with _explained(key):
            body = _consume_body(credit_id, redeem_request_id=key)
            answer = await self._client.post(_CONSUME, body=body, cast_to=object)
            return parse_reset_result(answer, redeem_request_id=key)


def _consume_body(credit_id: str | None, *, redeem_request_id: str) -> dict[str, str]:
    return {"redeem_request_id": redeem_request_id} | ({} if credit_id is None else {"credit_id": credit_id})


@contextmanager
def _explained(key: str | None = None) -> Iterator[None]:
    """Say what an error means here."""
    try:
        yield
    except openai.NotFoundError as error:
        error.message = (
            f"The backend has no reset credits for this account, or not this one ({error.message}). "
            "`client.codex.usage_report().reset_credits` says how many there are."
        )
        error.args = (error.message,)
        raise
    except openai.APIError as error:
        if key is not None:
            error.add_note(
                f"Whether a credit was used is not known. `consume(redeem_request_id={key!r})` asks again and uses no "
                "second one."
            )
        raise
