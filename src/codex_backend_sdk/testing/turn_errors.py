"""HTTP errors as turns: usage limits, refused requests and logins, Cloudflare, and raw responses.

The Codex CLI distinguishes these errors in codex-api/src/api_bridge.rs and protocol/src/error.rs. Their messages, in
`replies.messages`, are those that users of the real backend have reported. The backend has two shapes of error bodies:
`{"detail": …}` from the Codex backend itself, and `{"error": {"code": …, "message": …}}` from the Responses API behind
it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Literal, Self

from .backend.simulated_limits import SimulatedAdditionalLimit, SimulatedWindow
from .http.delivery import SimulatedResponse, as_chunks
from .replies.messages import QUOTA_CODES, cloudflare_page, error_message
from .turn_delivery import BaseTurn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .backend.turn_context import TurnContext
    from .http.delivery import Ending

__all__ = ["ErrorTurns"]


class ErrorTurns(BaseTurn):
    """The class methods of a turn that make HTTP errors and raw responses."""

    __slots__ = ()

    # Limits

    @classmethod
    def usage_limit(
        cls,
        plan: str | None = None,
        resets_in: timedelta | None = timedelta(hours=1),
        *,
        window: timedelta = timedelta(hours=5),
        reached: str | None = None,
        limit_name: str | None = None,
        promo: str | None = None,
    ) -> Self:
        """Respond with 429 `usage_limit_reached`, and set the window in `Simulator.limits` to exhausted.

        `plan` is the account's by default. `reached` is the exhausted limit of a workspace, as the header
        `x-codex-rate-limit-reached-type` spells it; `limit_name` names a limit of a single model; `promo` is an offer
        of the backend.
        """

        def respond(context: TurnContext) -> SimulatedResponse:
            resets_at = None if resets_in is None else context.now + resets_in
            timestamp = None if resets_at is None else int(resets_at.timestamp())
            limit_id = "codex" if limit_name is None else "codex_bengalfox"
            prefix = f"x-{limit_id.replace('_', '-')}"
            minutes = int(window.total_seconds() // 60)
            headers = {
                "x-codex-active-limit": limit_id,
                f"{prefix}-primary-used-percent": "100.0",
                f"{prefix}-primary-window-minutes": str(minutes),
                f"{prefix}-primary-reset-at": None if timestamp is None else str(timestamp),
                f"{prefix}-limit-name": limit_name,
                "x-codex-rate-limit-reached-type": reached,
                "x-codex-promo-message": promo,
            }
            error = {
                "type": "usage_limit_reached",
                "message": error_message("usage_limit_reached"),
                "plan_type": plan or context.request.account.plan,
                "resets_at": timestamp,
                "resets_in_seconds": None if resets_in is None else int(resets_in.total_seconds()),
                "limit_window_minutes": minutes,
                "eligible_promo": None,
            }
            model_limit = None if limit_name is None else SimulatedAdditionalLimit(id=limit_id, name=limit_name)
            context.account_limits.exhaust(
                SimulatedWindow(100, minutes=minutes, resets_at=resets_at), reached_type=reached, additional=model_limit
            )
            sent = tuple((name, value) for name, value in headers.items() if value is not None)
            return SimulatedResponse.json(429, {"error": error}, sent)

        return cls(respond)

    @classmethod
    def usage_not_included(cls) -> Self:
        """Respond with 429 `usage_not_included`: the plan does not include Codex."""
        error = {"type": "usage_not_included", "message": error_message("usage_not_included")}
        return cls.error(429, {"error": error})

    @classmethod
    def quota_exceeded(cls, code: str = "insufficient_quota") -> Self:
        """Respond with 429 and a code for exhausted credits, such as `insufficient_quota`."""
        if code not in QUOTA_CODES:
            raise ValueError(f"Unknown quota code: {code!r}. Use one of: {', '.join(QUOTA_CODES)}.")
        return cls.api_error(code, status=429)

    @classmethod
    def rate_limited(cls, retry_after: float | str | None = None) -> Self:
        """Respond with 429 `rate_limit_exceeded`; `retry_after` is the header, in seconds or as a date."""
        return cls.api_error("rate_limit_exceeded", status=429, headers=_retry_after(retry_after))

    @classmethod
    def overloaded(cls) -> Self:
        """Respond with 503 `server_is_overloaded`."""
        return cls.api_error("server_is_overloaded", status=503)

    @classmethod
    def slow_down(cls, retry_after: float | str | None = None) -> Self:
        """Respond with 503 `slow_down`; `retry_after` is the header, in seconds or as a date."""
        return cls.api_error("slow_down", status=503, headers=_retry_after(retry_after))

    # Login, country, Cloudflare

    @classmethod
    def unauthorized(cls, code: str | None = None) -> Self:
        """Respond with 401, with a code if given: `token_expired`, `token_invalidated` or `token_revoked`."""
        if code is None:
            return cls.error(401, {"detail": "Unauthorized"})
        error = {"message": error_message(code), "type": None, "code": code, "param": None}
        return cls.error(401, {"error": error, "status": 401})

    @classmethod
    def region_not_supported(cls) -> Self:
        """Respond with 403: the backend does not serve this country."""
        return cls.api_error("unsupported_country_region_territory", status=403)

    @classmethod
    def cloudflare(cls, kind: Literal["challenge", "blocked"] = "challenge") -> Self:
        """Respond as Cloudflare does in front of the backend: 403 with an HTML page."""
        headers = {"content-type": "text/html; charset=UTF-8", "server": "cloudflare", "cf-ray": "8f0000000000sim-ZRH"}
        if kind == "challenge":
            headers["cf-mitigated"] = "challenge"
        return cls.raw(403, headers, cloudflare_page(kind).encode())

    # Any error body

    @classmethod
    def detail_error(cls, text: str, status: int = 400) -> Self:
        """Respond with `{"detail": text}`, the error body of the Codex backend itself."""
        return cls.error(status, {"detail": text})

    @classmethod
    def api_error(
        cls,
        code: str,
        message: str | None = None,
        *,
        param: str | None = None,
        status: int = 400,
        headers: Mapping[str, str] | None = None,
    ) -> Self:
        """Respond with `{"error": {"code": …, "message": …}}`, the error body of the Responses API.

        Without a `message` the backend's own message for the code is sent.
        """
        text = message or error_message(code)
        error = {"message": text, "type": "invalid_request_error", "param": param, "code": code}
        return cls.error(status, {"error": error}, headers)

    @classmethod
    def error(cls, status: int, body: object, headers: Mapping[str, str] | None = None) -> Self:
        """Respond with a status and a JSON body."""
        return cls(lambda context: SimulatedResponse.json(status, body, tuple((headers or {}).items())))

    # No stream and no JSON

    @classmethod
    def raw(
        cls,
        status: int,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        then: Ending = "close",
    ) -> Self:
        """Respond with these bytes. With `then="cut"` or `"reset"` the connection ends before the response does."""
        pairs = tuple((headers or {}).items())
        return cls(
            lambda context: SimulatedResponse(status=status, headers=pairs, chunks=as_chunks([body]), ending=then)
        )

    @classmethod
    def not_http(cls, data: bytes = b"SSH-2.0-simulator\r\n\x00\xff\r\n\r\n") -> Self:
        """Send bytes that are not HTTP, then close the connection."""
        return cls(lambda context: SimulatedResponse(status=200, headers=(), chunks=as_chunks([data]), is_bare=True))

    @classmethod
    def redirect(cls, to: str | None = None, status: int = 307) -> Self:
        """Redirect the client; the default target is this simulator by its other host name, `localhost`.

        A client that sends its access token there has leaked it to another host: check `Simulator.requests`.
        """

        def respond(context: TurnContext) -> SimulatedResponse:
            target = to or f"http://localhost:{context.port}{context.path}"
            return SimulatedResponse(
                status=status, headers=(("location", target), ("content-length", "0")), chunks=as_chunks(())
            )

        return cls(respond)


def _retry_after(value: float | str | None) -> dict[str, str]:
    return {} if value is None else {"retry-after": str(value)}
