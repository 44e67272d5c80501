"""The texts of the simulated backend: the message of each error code and Cloudflare's HTML pages.

The codes are those that the Codex CLI distinguishes (codex-api/src/api_bridge.rs and
codex-api/src/sse/responses_error.rs). The messages are those that users of the real backend have reported; for a code
without a report the message is made up.
"""

from __future__ import annotations

__all__ = ["POLICY_CODES", "QUOTA_CODES", "UNSUPPORTED_CODES", "cloudflare_page", "error_message"]

QUOTA_CODES = (
    "insufficient_quota",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
)
POLICY_CODES = ("cyber_policy", "bio_policy", "invalid_prompt", "misalignment_policy_violation")
# The account lacks the model, or the model lacks the service tier or the reasoning effort.
UNSUPPORTED_CODES = (
    "model_not_found",
    "model_not_supported",
    "unsupported_model",
    "service_tier_not_supported",
    "unsupported_service_tier",
    "reasoning_effort_not_supported",
    "unsupported_reasoning_effort",
)

_NO_MONEY = "You exceeded your current quota, please check your plan and billing details."
_NO_MODEL = "The requested model does not exist or you do not have access to it."
_NO_TIER = "The requested service tier is not supported for this model."
_NO_EFFORT = "The requested reasoning effort is not supported for this model."
_INVALIDATED = "Your authentication token has been invalidated. Please try signing in again."

_MESSAGES = {
    **dict.fromkeys(QUOTA_CODES, _NO_MONEY),
    "usage_limit_reached": "The usage limit has been reached",
    "usage_not_included": "Codex is not included in your plan.",
    "rate_limit_exceeded": "Rate limit reached. Please try again in 1.5s.",
    "slow_down": "Requests are coming too fast. Please slow down.",
    "server_is_overloaded": "Our servers are currently overloaded. Please try again later.",
    "server_error": "An error occurred while processing your request. You can retry your request.",
    "flex_unavailable": "Flex capacity is unavailable right now.",
    "context_length_exceeded": (
        "Your input exceeds the context window of this model. Please adjust your input and try again."
    ),
    "cyber_policy": "This request has been flagged for possible cybersecurity risk.",
    "bio_policy": "This request has been flagged for possible biological risk.",
    "invalid_prompt": "Invalid prompt: your prompt was flagged as potentially violating our usage policy.",
    "misalignment_policy_violation": "This request was blocked due to a misalignment policy violation.",
    "invalid_image": "The image data you provided does not represent a valid image.",
    "invalid_encrypted_content": "The encrypted content could not be verified.",
    "model_not_found": _NO_MODEL,
    "model_not_supported": _NO_MODEL,
    "unsupported_model": _NO_MODEL,
    "service_tier_not_supported": _NO_TIER,
    "unsupported_service_tier": _NO_TIER,
    "reasoning_effort_not_supported": _NO_EFFORT,
    "unsupported_reasoning_effort": _NO_EFFORT,
    "unsupported_country_region_territory": "Country, region, or territory not supported",
    "refresh_token_expired": "Your refresh token has expired. Please try signing in again.",
    "refresh_token_reused": (
        "Your refresh token has already been used to generate a new access token. Please try signing in again."
    ),
    "refresh_token_invalidated": "Your refresh token has been invalidated. Please try signing in again.",
    "token_expired": "Provided authentication token is expired. Please try signing in again.",
    "token_invalidated": _INVALIDATED,
    "token_revoked": _INVALIDATED,
}

_CHALLENGE = """<!DOCTYPE html>
<html lang="en-US"><head><title>Just a moment...</title></head>
<body><noscript>Enable JavaScript and cookies to continue</noscript></body></html>
"""
_BLOCKED = """<!DOCTYPE html>
<html lang="en-US"><head><title>Attention Required! | Cloudflare</title></head>
<body><h1>Sorry, you have been blocked</h1><p>Cloudflare Ray ID: 8f0000000000sim</p></body></html>
"""


def error_message(code: str) -> str:
    """Return the message that the backend sends with a code; an unknown code gets a message that names it."""
    return _MESSAGES.get(code, f"The request failed: {code}.")


def cloudflare_page(kind: str) -> str:
    """Return an HTML page of Cloudflare: `challenge` or `blocked`."""
    pages = {"challenge": _CHALLENGE, "blocked": _BLOCKED}
    if kind not in pages:
        raise ValueError(f"Unknown Cloudflare page: {kind!r}. Use one of: {', '.join(pages)}.")
    return pages[kind]
