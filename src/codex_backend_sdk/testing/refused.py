"""How the backend refuses a turn: limits, failures, what stands before it.

Codex CLI: codex-api/src/api_bridge.rs and protocol/src/error.rs say which of them the client tells apart; the sentences
are those that users of the backend have reported.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, Self

from .backend.simulated_limits import SimulatedAdditionalLimit, SimulatedWindow
from .delivered import Delivered
from .http.delivery import SimulatedResponse, as_chunks
from .replies.sentences import QUOTA_CODES, cloudflare_page, sentence

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .backend.turn_context import TurnContext

__all__ = ["Refused"]

_LATER = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Refused(Delivered):
    """A turn whose answer is an HTTP status."""

    # Limits

    @classmethod
    def usage_limit(
        cls,
        plan: str | None = None,
        resets_in: timedelta | None = _LATER,
        *,
        window: timedelta = timedelta(hours=5),
        reached: str | None = None,
        limit_name: str | None = None,
        promo: str | None = None,
    ) -> Self:
        """Say that the plan is used up: 429 `usage_limit_reached`. `plan` is the account's when it is not given.

        `reached` is what the workspace ran out of, as `x-codex-rate-limit-reached-type` spells it; `limit_name` is the
        name of a limit of one model's own; `promo` is the backend's offer. From then on the account's limits
        (`Simulator.limits`) say that this window is used up, too.
        """

        def play(context: TurnContext) -> SimulatedResponse:
            reset = None if resets_in is None else int((context.now + resets_in).timestamp())
            family = "codex" if limit_name is None else "codex_bengalfox"
            prefix = f"x-{family.replace('_', '-')}"
            minutes = int(window.total_seconds() // 60)
            headers = {
                "x-codex-active-limit": family,
                f"{prefix}-primary-used-percent": "100.0",
                f"{prefix}-primary-window-minutes": str(minutes),
                f"{prefix}-primary-reset-at": None if reset is None else str(reset),
                f"{prefix}-limit-name": limit_name,
                "x-codex-rate-limit-reached-type": reached,
                "x-codex-promo-message": promo,
            }
            error = {
                "type": "usage_limit_reached",
                "message": sentence("usage_limit_reached"),
                "plan_type": plan or context.request.account.plan,
                "resets_at": reset,
                "resets_in_seconds": None if resets_in is None else int(resets_in.total_seconds()),
                "limit_window_minutes": minutes,
                "eligible_promo": None,
            }
            sent = tuple((name, value) for name, value in headers.items() if value is not None)
            exhausted_window = SimulatedWindow(
                100, minutes=minutes, resets_at=None if resets_in is None else context.now + resets_in
            )
            model = None if limit_name is None else SimulatedAdditionalLimit(id=family, name=limit_name)
            context.account_limits.exhaust(exhausted_window, reached_type=reached, additional=model)
            return SimulatedResponse.json(429, {"error": error}, sent)

        return cls(play)

    @classmethod
    def usage_not_included(cls) -> Self:
        """Say that the plan has no Codex: 429 `usage_not_included`."""
        error = {"type": "usage_not_included", "message": sentence("usage_not_included")}
        return cls.error(429, {"error": error})

    @classmethod
    def quota_exceeded(cls, code: str = "insufficient_quota") -> Self:
        """Say that there is no money left: 429 with one of the codes for it."""
        if code not in QUOTA_CODES:
            raise ValueError(f"No such code of a quota: {code}. Codes: {', '.join(QUOTA_CODES)}")
        return cls.invalid(code, status=429)

    @classmethod
    def rate_limited(cls, retry_after: float | str | None = None) -> Self:
        """Say that there were too many requests: 429, with a `Retry-After` in seconds or as a date if it is given."""
        return cls.invalid("rate_limit_exceeded", status=429, headers=_retry_after(retry_after))

    @classmethod
    def overloaded(cls) -> Self:
        """Say that the model is at capacity: 503 `server_is_overloaded`."""
        return cls.invalid("server_is_overloaded", status=503)

    @classmethod
    def slow_down(cls, retry_after: float | str | None = None) -> Self:
        """Say that requests come too fast: 503 `slow_down`."""
        return cls.invalid("slow_down", status=503, headers=_retry_after(retry_after))

    # The caller

    @classmethod
    def unauthorized(cls, code: str | None = None) -> Self:
        """Refuse the access token: 401; with a code (`token_expired`, `token_invalidated`, `token_revoked`) say why."""
        if code is None:
            return cls.error(401, {"detail": "Unauthorized"})
        error = {"message": sentence(code), "type": None, "code": code, "param": None}
        return cls.error(401, {"error": error, "status": 401})

    @classmethod
    def region_not_supported(cls) -> Self:
        """Refuse the country: 403."""
        return cls.invalid("unsupported_country_region_territory", status=403)

    @classmethod
    def cloudflare(cls, kind: Literal["challenge", "blocked"] = "challenge") -> Self:
        """Answer as Cloudflare does in front of the backend: 403 with a page of HTML."""
        headers = {"content-type": "text/html; charset=UTF-8", "server": "cloudflare", "cf-ray": "8f0000000000sim-ZRH"}
        if kind == "challenge":
            headers["cf-mitigated"] = "challenge"
        return cls.raw(403, headers, cloudflare_page(kind).encode())

    # The request

    @classmethod
    def refused(cls, text: str, status: int = 400) -> Self:
        """Refuse as the backend itself does: `{"detail": …}`."""
        return cls.error(status, {"detail": text})

    @classmethod
    def invalid(
        cls,
        code: str,
        message: str | None = None,
        *,
        param: str | None = None,
        status: int = 400,
        headers: Mapping[str, str] | None = None,
    ) -> Self:
        """Refuse as the Responses API behind the backend does: `{"error": {"code": …, "message": …}}`."""
        error = {"message": message or sentence(code), "type": "invalid_request_error", "param": param, "code": code}
        return cls.error(status, {"error": error}, headers)

    # Anything

    @classmethod
    def error(cls, status: int, body: object, headers: Mapping[str, str] | None = None) -> Self:
        """Answer with a status and a JSON body."""
        return cls(lambda context: SimulatedResponse.json(status, body, tuple((headers or {}).items())))

    @classmethod
    def raw(
        cls,
        status: int,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        then: Literal["close", "cut", "reset"] = "close",
    ) -> Self:
        """Answer with these bytes; `then` may be `cut` or `reset`: the connection ends, and the answer does not."""
        return cls._answering(status=status, headers=tuple((headers or {}).items()), body=body, ending=then)

    @classmethod
    def not_http(cls, data: bytes = b"SSH-2.0-simulator\r\n\x00\xff\r\n\r\n") -> Self:
        """Send bytes that are no HTTP, and close the connection."""
        return cls._answering(status=200, headers=(), body=data, is_bare=True)

    @classmethod
    def redirect(cls, to: str | None = None, status: int = 307) -> Self:
        """Send the client elsewhere; without `to`, to this simulator under its other name, `localhost`.

        A client that follows with its access token has given it to another host; `Simulator.requests` shows it.
        """

        def play(context: TurnContext) -> SimulatedResponse:
            target = to or f"http://localhost:{context.port}{context.path}"
            return SimulatedResponse(
                status=status, headers=(("location", target), ("content-length", "0")), chunks=as_chunks(())
            )

        return cls(play)

    @classmethod
    def _answering(cls, *, body: bytes, **members: Any) -> Self:
        def make(context: TurnContext) -> SimulatedResponse:
            return SimulatedResponse(chunks=as_chunks([body]), **members)

        return cls(make)


def _retry_after(value: float | str | None) -> dict[str, str]:
    return {} if value is None else {"retry-after": str(value)}
