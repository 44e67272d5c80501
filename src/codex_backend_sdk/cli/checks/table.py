"""The checks, in the order in which they are told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from codex_backend_sdk.cli.checks.account import check_limits, check_models, check_routing
from codex_backend_sdk.cli.checks.backend import check_backend, check_clock
from codex_backend_sdk.cli.checks.installed import check_versions
from codex_backend_sdk.cli.checks.login import check_login
from codex_backend_sdk.cli.checks.network import check_certificates, check_proxy
from codex_backend_sdk.cli.checks.sign_in import check_browser, check_issuer, check_ports
from codex_backend_sdk.cli.checks.storage import check_store
from codex_backend_sdk.cli.checks.variables import check_variables

if TYPE_CHECKING:
    from codex_backend_sdk.cli.checks.outcome import Check

__all__ = ["CHECKS"]

CHECKS: Final[dict[str, Check]] = {
    "Versions": check_versions,
    "Variables": check_variables,
    "Login": check_login,
    "Store": check_store,
    "Browser": check_browser,
    "Callback ports": check_ports,
    "Proxy": check_proxy,
    "Certificates": check_certificates,
    "Sign-in server": check_issuer,
    "Backend": check_backend,
    "Clock": check_clock,
    "Models": check_models,
    "Limits": check_limits,
    "Routing": check_routing,
}
