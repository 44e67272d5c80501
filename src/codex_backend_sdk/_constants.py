"""URLs, header names, time windows and limits, each with its source.

"Codex CLI" below is the public repository openai/codex (`codex-rs/`), as of version 0.169.0.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

# Hosts. Codex CLI: login/src/server.rs, model-provider-info/src/lib.rs.
BACKEND_URL: Final = "https://chatgpt.com/backend-api/codex"
ISSUER_URL: Final = "https://auth.openai.com"
CLIENT_ID: Final = "app_EMoamEEZ73f0CkXaXp7hrann"  # public OAuth client, it has no secret

# Environment variables that point at another backend; https, or http on loopback only.
BACKEND_URL_ENV: Final = "CODEX_BASE_URL"
ISSUER_URL_ENV: Final = "CODEX_ISSUER_URL"
CODEX_HOME_ENV: Final = "CODEX_HOME"
# An access token that takes the place of the stored login. Codex CLI: login/src/auth/manager.rs.
ACCESS_TOKEN_ENV: Final = "CODEX_ACCESS_TOKEN"
# A PEM file with more certificate authorities to trust, as for the Codex CLI.
CA_CERTIFICATE_ENV: Final = "CODEX_CA_CERTIFICATE"

# Browser login. Codex CLI: login/src/server.rs, login/src/pkce.rs.
CALLBACK_HOST: Final = "127.0.0.1"
CALLBACK_PORTS: Final = (1455, 1457)  # the issuer knows these two redirect addresses only
CALLBACK_PATH: Final = "/auth/callback"
LOGIN_SCOPES: Final = "openid profile email offline_access api.connectors.read api.connectors.invoke"
LOGIN_TIMEOUT: Final = timedelta(minutes=5)

# Renewal. Codex CLI: login/src/auth/manager.rs.
RENEW_BEFORE_EXPIRY: Final = timedelta(minutes=5)
# Of a life that is so short that five minutes are most of it, or more than all of it; our own rule (docs/decisions.md).
RENEW_AT_THE_LAST: Final = 0.25
RENEW_OPAQUE_AFTER: Final = timedelta(days=8)  # a token whose expiry cannot be read

# Identity: our own name, never another client's.
DEFAULT_ORIGINATOR: Final = "codex_backend_sdk"

# The catalogue is filtered by the version of the client that asks; it has to be a numeric
# `major.minor.patch` of the Codex CLI. Codex CLI: codex-api/src/endpoint/models.rs.
CATALOGUE_CLIENT_VERSION: Final = "0.169.0"

# The model with the lowest `priority` of the catalogue that Codex CLI 0.169.0 carries.
DEFAULT_MODEL: Final = "gpt-6.1-sol"
# The backend refused an absent or empty `instructions` until mid 2026; it takes any text.
DEFAULT_INSTRUCTIONS: Final = "You are a helpful assistant."
