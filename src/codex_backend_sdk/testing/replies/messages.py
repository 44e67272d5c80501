"""Define the error messages of the simulated backend and the HTML pages of Cloudflare.

The Codex CLI distinguishes these codes (codex-api/src/api_bridge.rs and codex-api/src/sse/responses_error.rs). Users of
the real backend have reported most of the messages. If no report exists for a code, its message is invented.
"""

from __future__ import annotations

__all__ = ["POLICY_CODES", "QUOTA_CODES", "UNSUPPORTED_CODES", "cloudflare_page", "default_message"]

QUOTA_CODES = (
    "insufficient_quota",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
)
POLICY_CODES = ("cyber_policy", "bio_policy", "invalid_prompt", "misalignment_policy_violation")
# The account cannot use the model, or the model does not support the service tier or the reasoning effort.
UNSUPPORTED_CODES = (
    "model_not_found",
    "model_not_supported",
    "unsupported_model",
    "service_tier_not_supported",
    "unsupported_service_tier",
    "reasoning_effort_not_supported",
    "unsupported_reasoning_effort",
)

_QUOTA_MESSAGE = "You exceeded your current quota, please check your plan and billing details."
_MODEL_MESSAGE = "The requested model does not exist or you do not have access to it."
_TIER_MESSAGE = "The requested service tier is not supported for this model."
_EFFORT_MESSAGE = "The requested reasoning effort is not supported for this model."
_INVALIDATED_MESSAGE = "Your authentication token has been invalidated. Please try signing in again."

_MESSAGES = {
    **dict.fromkeys(QUOTA_CODES, _QUOTA_MESSAGE),
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
    "model_not_found": _MODEL_MESSAGE,
    "model_not_supported": _MODEL_MESSAGE,
    "unsupported_model": _MODEL_MESSAGE,
    "service_tier_not_supported": _TIER_MESSAGE,
    "unsupported_service_tier": _TIER_MESSAGE,
    "reasoning_effort_not_supported": _EFFORT_MESSAGE,
    "unsupported_reasoning_effort": _EFFORT_MESSAGE,
    "unsupported_country_region_territory": "Country, region, or territory not supported",
    "previous_response_not_found": "Previous response not found.",
    "refresh_token_expired": "Your refresh token has expired. Please try signing in again.",
    "refresh_token_reused": (
        "Your refresh token has already been used to generate a new access token. Please try signing in again."
    ),
    "refresh_token_invalidated": "Your refresh token has been invalidated. Please try signing in again.",
    "token_expired": "Provided authentication token is expired. Please try signing in again.",
    "token_invalidated": _INVALIDATED_MESSAGE,
    "token_revoked": _INVALIDATED_MESSAGE,
}

_CLOUDFLARE_PAGES = {
    "challenge": """<!DOCTYPE html>
<html lang="en-US"><head><title>Just a moment...</title></head>
<body><noscript>Enable JavaScript and cookies to continue</noscript></body></html>
""",
    "blocked": """<!DOCTYPE html>
<html lang="en-US"><head><title>Attention Required! | Cloudflare</title></head>
<body><h1>Sorry, you have been blocked</h1><p>Cloudflare Ray ID: 8f0000000000sim</p></body></html>
""",
}


def default_message(code: str) -> str:
    """Return the message that the backend sends with a code. For an unknown code, the message contains the code."""
    return _MESSAGES.get(code, f"The request failed: {code}.")


def cloudflare_page(name: str) -> str:
    """Return an HTML page of Cloudflare. `name` is `challenge` or `blocked`."""
    if name not in _CLOUDFLARE_PAGES:
        raise ValueError(f"Unknown Cloudflare page: {name!r}. Use one of: {', '.join(_CLOUDFLARE_PAGES)}.")
    return _CLOUDFLARE_PAGES[name]
