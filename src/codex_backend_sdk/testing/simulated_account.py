"""Describe the simulated account and its tokens, and write the `auth.json` and `config.toml` of a simulated login.

`auth.json` has the format of the Codex CLI (login/src/auth/storage.rs), so both the CLI and this package can read it.
`config.toml` makes the simulator the model provider of the real CLI and disables every feature that would contact
another host.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._constants import CLIENT_ID

if TYPE_CHECKING:
    from datetime import datetime, timedelta

__all__ = ["IssuedTokens", "SimulatedAccount", "build_login_document", "is_free_for_login", "write_codex_home"]

_CONFIG_HEADING = "# Written by the simulator of codex-backend-sdk."
# The CLI rejects a provider named "OpenAI" over plain HTTP (Codex CLI: model-provider-info/src/lib.rs). Analytics,
# feedback and telemetry are disabled, so that the CLI sends no request to another host.
_CONFIG = (
    _CONFIG_HEADING
    + """
{model}model_provider = "simulator"
chatgpt_base_url = {chatgpt_url}
cli_auth_credentials_store = "file"
check_for_update_on_startup = false

[model_providers.simulator]
name = "Simulator"
base_url = {base_url}
requires_openai_auth = true
supports_websockets = {supports_websockets}

[analytics]
enabled = false

[feedback]
enabled = false

[otel]
exporter = "none"
metrics_exporter = "none"
"""
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedAccount:
    """A simulated ChatGPT account. Its fields appear in the token claims and in the usage response.

    `plan` uses the backend's spelling: `free`, `plus`, `pro`, `team`, `business`, `enterprise`, …. `residency` is the
    region in the claims of the access token.
    """

    account_id: str = "acc-00000000-0000-4000-8000-000000000001"
    user_id: str = "user-simulated"
    email: str = "user@example.com"
    plan: str = "pro"
    is_fedramp: bool = False
    residency: str = "no_constraint"


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedTokens:
    """Tokens that the simulated issuer returns for a login or a refresh.

    The access token expires `lifetime` after it was issued.
    """

    id_token: str
    access_token: str
    refresh_token: str
    lifetime: timedelta
    scope: str


def build_login_document(
    tokens: IssuedTokens, *, account: SimulatedAccount, issuer: str, now: datetime
) -> dict[str, Any]:
    """Return the content of `auth.json` for these tokens (Codex CLI: login/src/auth/storage.rs)."""
    return {
        "auth_mode": "chatgpt",
        "OPENAI_API_KEY": None,
        "tokens": {
            "id_token": tokens.id_token,
            "access_token": tokens.access_token,
            "refresh_token": tokens.refresh_token,
            "oauth_provenance": {"issuer": issuer, "client_id": CLIENT_ID},
            "account_id": account.account_id,
        },
        "last_refresh": now.strftime("%Y-%m-%dT%H:%M:%S.%f000Z"),
    }


def write_codex_home(
    path: str | Path,
    *,
    login_document: dict[str, Any],
    chatgpt_url: str,
    base_url: str,
    model: str | None,
    supports_websockets: bool,
) -> Path:
    """Write `auth.json` (mode 0600) and `config.toml` into the directory and return its path.

    Raises FileExistsError if the directory has a login or a configuration that no simulator wrote.
    """
    home = Path(path)
    home.mkdir(parents=True, exist_ok=True)
    auth_file, config_file = home / "auth.json", home / "config.toml"
    for existing_file, is_simulated in ((auth_file, _is_simulated_login), (config_file, _is_simulated_config)):
        if existing_file.exists() and not is_simulated(existing_file.read_text(encoding="utf-8", errors="replace")):
            raise FileExistsError(
                f"{existing_file} exists, and no simulator wrote it. No file was changed. "
                "Pass an empty or a new directory."
            )
    # Other users may be able to read an existing file, so create a new one.
    auth_file.unlink(missing_ok=True)
    descriptor = os.open(auth_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(login_document, file, indent=2)
    # Every JSON string is a valid TOML basic string.
    config = _CONFIG.format(
        model="" if model is None else f"model = {json.dumps(model)}\n",
        chatgpt_url=json.dumps(chatgpt_url),
        base_url=json.dumps(base_url),
        supports_websockets=json.dumps(supports_websockets),
    )
    config_file.write_text(config, encoding="utf-8")
    return home


def is_free_for_login(home: Path) -> bool:
    """Return whether a folder is new, empty or one to which a simulator has written before."""
    if not home.exists() or not any(home.iterdir()):
        return True
    config = home / "config.toml"
    return config.is_file() and _is_simulated_config(config.read_text(encoding="utf-8", errors="replace"))


def _is_simulated_login(text: str) -> bool:
    """Return whether the issuer of an `auth.json` uses plain HTTP, which only a simulator does."""
    try:
        issuer = json.loads(text)["tokens"]["oauth_provenance"]["issuer"]
    except (ValueError, LookupError, TypeError):
        return False
    return str(issuer).startswith("http://")


def _is_simulated_config(text: str) -> bool:
    return text.startswith(_CONFIG_HEADING)
