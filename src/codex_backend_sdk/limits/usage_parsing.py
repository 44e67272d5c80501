"""The answers of the account's own endpoints → typed values; as lenient as `limits`.

Codex CLI: codex-backend-openapi-models/, backend-client/src/client/rate_limit_resets.rs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._coerce import as_bool, as_count, as_datetime, as_list, as_mapping, as_text
from .limit_parsing import additional_limit, from_usage
from .usage_types import ModelUsage, ResetCredit, ResetCredits, ResetResult, UsageReport

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["consume_body", "read_reset_credits", "read_reset_result", "read_usage"]


def read_usage(answer: Any, *, seen_at: datetime) -> UsageReport:
    """Read the answer of `/wham/usage`."""
    told = as_mapping(answer)
    banner = told.get("rate_limit_upsell")
    return UsageReport(
        limits=from_usage(told, seen_at=seen_at),
        email=as_text(told.get("email")),
        account_id=as_text(told.get("account_id")),
        user_id=as_text(told.get("user_id")),
        code_review=additional_limit(
            told.get("code_review_rate_limit"), id="code_review", name="Code review", seen_at=seen_at
        ),
        models=tuple(
            ModelUsage(
                model=model,
                available=as_bool(each.get("available")),
                available_at=as_datetime(each.get("available_at")),
                credits_would_enable=as_bool(each.get("credits_would_enable")),
            )
            for model, each in as_mapping(told.get("model_usage")).items()
            if isinstance(each, dict)
        ),
        reset_credits=as_count(as_mapping(told.get("rate_limit_reset_credits")).get("available_count")),
        banner=banner if isinstance(banner, dict) else None,
    )


def read_reset_credits(answer: Any) -> ResetCredits:
    """Read the answer of `/wham/rate-limit-reset-credits`."""
    told = as_mapping(answer)
    credits = tuple(
        ResetCredit(
            id=credit_id,
            status=as_text(each.get("status")),
            reset_type=as_text(each.get("reset_type")),
            granted_at=as_datetime(each.get("granted_at")),
            expires_at=as_datetime(each.get("expires_at")),
            redeemed_at=as_datetime(each.get("redeemed_at")),
            title=as_text(each.get("title")),
            description=as_text(each.get("description")),
        )
        for each in as_list(told.get("credits"))
        if isinstance(each, dict) and (credit_id := as_text(each.get("id")))
    )
    available = as_count(told.get("available_count"))
    return ResetCredits(
        credits=credits,
        available_count=sum(each.is_available for each in credits) if available is None else available,
    )


def consume_body(credit_id: str | None, *, redeem_request_id: str) -> dict[str, str]:
    """Return the body that uses a reset credit up; with the same key it uses none twice."""
    return {"redeem_request_id": redeem_request_id} | ({} if credit_id is None else {"credit_id": credit_id})


def read_reset_result(answer: Any, *, redeem_request_id: str) -> ResetResult:
    """Read what became of a reset credit."""
    told = as_mapping(answer)
    return ResetResult(
        code=as_text(told.get("code")),
        windows_reset=as_count(told.get("windows_reset")),
        redeem_request_id=redeem_request_id,
    )
