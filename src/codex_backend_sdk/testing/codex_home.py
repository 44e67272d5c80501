"""The files with which the real Codex CLI, and this package, are signed in to the simulator."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._constants import CLIENT_ID

if TYPE_CHECKING:
    from datetime import datetime

    from .issuer.oauth_issuer import Tokens
    from .sim_account import Account

__all__ = ["auth_document", "write_codex_home"]

# A provider named "OpenAI" would be refused over plain http, and with WebSockets on the CLI would try those first
# (Codex CLI: model-provider-info/src/lib.rs). Analytics and telemetry are off: nothing leaves this machine.
_CONFIG = """{model}model_provider = "simulator"
chatgpt_base_url = {chatgpt_url}
cli_auth_credentials_store = "file"
check_for_update_on_startup = false

[model_providers.simulator]
name = "Simulator"
base_url = {base_url}
requires_openai_auth = true
supports_websockets = false

[analytics]
enabled = false

[feedback]
enabled = false

[otel]
exporter = "none"
metrics_exporter = "none"
"""


def auth_document(tokens: Tokens, *, account: Account, issuer: str, now: datetime) -> dict[str, Any]:
    """Return the document that a login stores. Codex CLI: login/src/auth/storage.rs."""
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
    path: str | Path, *, auth: dict[str, Any], chatgpt_url: str, base_url: str, model: str | None
) -> Path:
    """Write `auth.json` (readable by its owner only) and `config.toml` into the directory."""
    home = Path(path)
    home.mkdir(parents=True, exist_ok=True)
    secret = home / "auth.json"
    secret.unlink(missing_ok=True)
    with os.fdopen(os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(auth, file, indent=2)
    # A JSON string is a TOML basic string too.
    config = _CONFIG.format(
        model="" if model is None else f"model = {json.dumps(model)}\n",
        chatgpt_url=json.dumps(chatgpt_url),
        base_url=json.dumps(base_url),
    )
    (home / "config.toml").write_text(config, encoding="utf-8")
    return home
