"""The checks, in the order in which they are told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .account_checks import check_limits, check_models, check_routing
from .backend_checks import check_backend, check_clock
from .login_checks import check_login
from .network_checks import check_certificates, check_proxy
from .sign_in_checks import check_browser, check_issuer, check_ports
from .storage_checks import check_store
from .variable_checks import check_variables
from .version_checks import check_versions

if TYPE_CHECKING:
    from .result import Check

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
