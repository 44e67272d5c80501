"""URLs, environment variables, durations and defaults, with their sources.

"Codex CLI" is the public repository openai/codex (`codex-rs/`), version 0.171.0.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

# Hosts. Codex CLI: login/src/server.rs, model-provider-info/src/lib.rs.
BACKEND_URL: Final = "https://chatgpt.com/backend-api/codex"
ISSUER_URL: Final = "https://auth.openai.com"
CLIENT_ID: Final = "app_EMoamEEZ73f0CkXaXp7hrann"  # a public OAuth client; it has no secret

# Environment variables that select another backend or issuer (https, or http on loopback) or another CODEX_HOME.
BACKEND_URL_ENV: Final = "CODEX_BASE_URL"
ISSUER_URL_ENV: Final = "CODEX_ISSUER_URL"
CODEX_HOME_ENV: Final = "CODEX_HOME"
# The default of the argument `transport`, for example `http` behind a proxy that blocks WebSockets.
TRANSPORT_ENV: Final = "CODEX_TRANSPORT"
# The folder for saved conversations and the usage history.
DATA_FOLDER_ENV: Final = "CODEX_BACKEND_DATA"
# Whether clients record the usage limits by default: a path, or a boolean such as `1`.
USAGE_HISTORY_ENV: Final = "CODEX_USAGE_HISTORY"
# An access token that replaces the stored login. Codex CLI: login/src/auth/manager.rs.
ACCESS_TOKEN_ENV: Final = "CODEX_ACCESS_TOKEN"
# A PEM file with additional certificate authorities, as for the Codex CLI.
CA_CERTIFICATE_ENV: Final = "CODEX_CA_CERTIFICATE"

# Browser login. Codex CLI: login/src/server.rs, login/src/pkce.rs.
CALLBACK_HOST: Final = "127.0.0.1"
CALLBACK_PORTS: Final = (1455, 1457)  # the only redirect URIs that the issuer accepts
CALLBACK_PATH: Final = "/auth/callback"
LOGIN_SCOPES: Final = "openid profile email offline_access api.connectors.read api.connectors.invoke"
LOGIN_TIMEOUT: Final = timedelta(minutes=5)

# Refresh. Codex CLI: login/src/auth/manager.rs.
REFRESH_BEFORE_EXPIRY: Final = timedelta(minutes=5)
# A token that is valid for less than 20 minutes is refreshed in this last fraction of its lifetime (docs/decisions.md).
REFRESH_IN_LAST_FRACTION: Final = 0.25
REFRESH_OPAQUE_AFTER: Final = timedelta(days=8)  # for a token whose expiry cannot be read

# The name of this package, never the name of another client.
DEFAULT_ORIGINATOR: Final = "codex_backend_sdk"

# The backend filters the model catalog by this version, which must be a numeric `major.minor.patch` of the Codex CLI.
# Codex CLI: codex-api/src/endpoint/models.rs.
CATALOG_CLIENT_VERSION: Final = "0.171.0"

# The header of the upgrade request of a WebSocket. Codex CLI: codex-api/src/endpoint/responses_websocket.rs.
WEBSOCKET_BETA_HEADERS: Final = {"OpenAI-Beta": "responses_websockets=2026-02-06"}

# The model with the lowest `priority` of those that the free plan gets, in the catalog that is bundled with Codex CLI
# 0.171.0. Of all models it has the most plans: every one except `rosalind_academic`. gpt-6.2-sol comes before it, but
# the plans `free`, `free_workspace` and `k12` do not get it.
DEFAULT_MODEL: Final = "gpt-6.1-terra"
# As a model, the first model that the catalog lists for the account.
AUTO_MODEL: Final = "auto"
# The backend rejected absent and empty `instructions` until mid 2026; it accepts any text.
DEFAULT_INSTRUCTIONS: Final = "You are a helpful assistant."
# The logger of dropped and repaired parameters: a child of `codex_backend_sdk`, so that a program can silence it alone.
CHANGES_LOGGER: Final = "codex_backend_sdk.changes"

# The largest event of a stream. The largest real events contain a generated image, of a few megabytes.
DEFAULT_MAX_EVENT_BYTES: Final = 64_000_000

# The end of the message about a missing dependency, for `.format(extra)`.
INSTALL_EXTRA: Final = "Install the extra `{0}` of this package (in a checkout: pip install '.[{0}]')."

# 400 "string too long": the longest id of an item, and of a call (reported by users).
MAX_ID_LENGTH: Final = 64
