"""Create scripted HTTP errors: usage limits, rejected requests, rejected tokens, Cloudflare pages and raw responses.

The Codex CLI distinguishes these errors in codex-api/src/api_bridge.rs and protocol/src/error.rs. Users of the real
backend have reported their messages, which are in `replies.messages`. An error body has one of two shapes. The Codex
backend itself sends `{"detail": …}`. The Responses API behind it sends `{"error": {"code": …, "message": …}}`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Literal, Self

from .backend.simulated_limits import ExhaustedLimit, SimulatedAdditionalLimit, SimulatedWindow
from .http.delivery import SimulatedResponse
from .replies.messages import QUOTA_CODES, cloudflare_page, default_message
from .turn_delivery import BaseTurn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .backend.turn_context import TurnContext
    from .http.delivery import Ending

__all__ = ["ErrorTurns"]

# The id of the limit of a single model. Each id has its own family of headers (Codex CLI:
# codex-api/src/rate_limits.rs).
_MODEL_LIMIT_ID = "codex_bengalfox"


class ErrorTurns(BaseTurn):
    """The class methods of a turn that return HTTP errors and raw responses."""

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
        """Return 429 `usage_limit_reached`, and mark the window in `Simulator.limits` as exhausted.

        Until the reset, the simulator rejects later requests, too, except those for which a turn or a fault is queued.

        - `plan`: the plan in the error. It defaults to the account's plan.
        - `resets_in`: the time until the window resets. With None, the response does not contain the time of the reset.
        - `window`: the length of the exhausted window.
        - `reached`: the exhausted limit of a workspace, a value of the header `x-codex-rate-limit-reached-type`.
        - `limit_name`: the name of the exhausted limit, if it applies to a single model.
        - `promo`: the promotional message in the header `x-codex-promo-message`.
        """

        def respond(context: TurnContext) -> SimulatedResponse:
            minutes = int(window.total_seconds() // 60)
            resets_at = None if resets_in is None else context.now + resets_in
            exhausted = ExhaustedLimit(
                window=SimulatedWindow(100, minutes=minutes, resets_at=resets_at),
                has_reset=resets_at is not None,
                plan=plan,
                reached_type=reached,
                promo=promo,
                additional=None if limit_name is None else _model_limit(limit_name, context.request.model),
                is_from_fault=True,
            )
            context.account_limits.exhaust(exhausted)
            return context.limit_response(exhausted)

        return cls(respond)

    @classmethod
    def usage_not_included(cls) -> Self:
        """Return 429 `usage_not_included`: the plan does not include Codex."""
        error = {"type": "usage_not_included", "message": default_message("usage_not_included")}
        return cls.error(429, {"error": error})

    @classmethod
    def quota_exceeded(cls, code: str = "insufficient_quota") -> Self:
        """Return 429 with a code for exhausted credits. Raises `ValueError` if the code is not one of `QUOTA_CODES`."""
        if code not in QUOTA_CODES:
            raise ValueError(f"Unknown quota code: {code!r}. Use one of: {', '.join(QUOTA_CODES)}.")
        return cls.api_error(code, status=429)

    @classmethod
    def rate_limited(cls, retry_after: float | str | None = None) -> Self:
        """Return 429 `rate_limit_exceeded`. `retry_after` is the value of `Retry-After`: seconds or an HTTP date."""
        return cls.api_error("rate_limit_exceeded", status=429, headers=_retry_after_header(retry_after))

    @classmethod
    def overloaded(cls) -> Self:
        """Return 503 `server_is_overloaded`."""
        return cls.api_error("server_is_overloaded", status=503)

    @classmethod
    def slow_down(cls, retry_after: float | str | None = None) -> Self:
        """Return 503 `slow_down`. `retry_after` is the value of `Retry-After`: seconds or an HTTP date."""
        return cls.api_error("slow_down", status=503, headers=_retry_after_header(retry_after))

    # Authentication, region, Cloudflare

    @classmethod
    def unauthorized(cls, code: str | None = None) -> Self:
        """Return 401. `code` may be `token_expired`, `token_invalidated` or `token_revoked`."""
        if code is None:
            return cls.error(401, {"detail": "Unauthorized"})
        error = {"message": default_message(code), "type": None, "code": code, "param": None}
        return cls.error(401, {"error": error, "status": 401})

    @classmethod
    def region_not_supported(cls) -> Self:
        """Return 403: the backend is not available in this country or region."""
        return cls.api_error("unsupported_country_region_territory", status=403)

    @classmethod
    def cloudflare(cls, kind: Literal["challenge", "blocked"] = "challenge") -> Self:
        """Return 403 with an HTML page, as Cloudflare does in front of the backend."""
        headers = {"content-type": "text/html; charset=UTF-8", "server": "cloudflare", "cf-ray": "8f0000000000sim-ZRH"}
        if kind == "challenge":
            headers["cf-mitigated"] = "challenge"
        return cls.raw(403, headers, cloudflare_page(kind).encode())

    # Generic error bodies

    @classmethod
    def detail_error(cls, text: str, status: int = 400) -> Self:
        """Return the body `{"detail": text}`, the error format of the Codex backend itself."""
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
        """Return the body `{"error": {"code": …, "message": …}}`, the error format of the Responses API.

        `message` defaults to the backend's message for the code.
        """
        error = {
            "message": message or default_message(code),
            "type": "invalid_request_error",
            "param": param,
            "code": code,
        }
        return cls.error(status, {"error": error}, headers)

    @classmethod
    def error(cls, status: int, body: object, headers: Mapping[str, str] | None = None) -> Self:
        """Return a status and a JSON body."""
        return cls(lambda context: SimulatedResponse.json(status, body, tuple((headers or {}).items())))

    # Raw bytes and redirects

    @classmethod
    def raw(
        cls,
        status: int,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        then: Ending = "close",
    ) -> Self:
        """Return these bytes as the body.

        `then` is the state of the connection after them: the response is complete (`close`), or the connection is
        closed (`cut`) or reset (`reset`) before the response is complete.
        """
        header_pairs = tuple((headers or {}).items())
        return cls(lambda context: SimulatedResponse(status=status, headers=header_pairs, chunks=[body], ending=then))

    @classmethod
    def not_http(cls, data: bytes = b"SSH-2.0-simulator\r\n\x00\xff\r\n\r\n") -> Self:
        """Send bytes that are not an HTTP response, then close the connection."""
        return cls(lambda context: SimulatedResponse(status=200, headers=(), chunks=[data], is_raw=True))

    @classmethod
    def redirect(cls, to: str | None = None, status: int = 307) -> Self:
        """Redirect the client. The default target is this simulator under the hostname `localhost`.

        The hostname differs from that of the request, so a client must not send its access token there. Check
        `Simulator.requests` for it.
        """

        def respond(context: TurnContext) -> SimulatedResponse:
            target = to or f"http://localhost:{context.port}{context.path}"
            return SimulatedResponse(status=status, headers=(("location", target), ("content-length", "0")))

        return cls(respond)


def _model_limit(name: str, model: str) -> SimulatedAdditionalLimit:
    return SimulatedAdditionalLimit(id=_MODEL_LIMIT_ID, name=name, model=model)


def _retry_after_header(value: float | str | None) -> dict[str, str]:
    return {} if value is None else {"retry-after": str(value)}
