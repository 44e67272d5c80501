"""A Codex backend and its login issuer on this machine, for tests and for trying the package without a login.

    with Simulator() as sim:
        client = sim.client()
        print(client.responses.create(input="Say hi.").output_text)

Needs the extra `codex-backend-sdk[testing]`. The names are imported when they are first used, so that importing
this package (as the pytest plugin does in every test run) costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .backend.limits_state import AdditionalLimit, Limits, Window
    from .foreground import serve
    from .http.record import RecordedRequest
    from .issuer.device_codes import DeviceSettings
    from .sim_account import Account
    from .simulator import Simulator
    from .turns import Turn

__all__ = [
    "Account",
    "AdditionalLimit",
    "DeviceSettings",
    "Limits",
    "RecordedRequest",
    "Simulator",
    "Turn",
    "Window",
    "serve",
]

_HOME = {
    "Account": "sim_account",
    "AdditionalLimit": "backend.limits_state",
    "DeviceSettings": "issuer.device_codes",
    "Limits": "backend.limits_state",
    "RecordedRequest": "http.record",
    "Simulator": "simulator",
    "Turn": "turns",
    "Window": "backend.limits_state",
    "serve": "foreground",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package == "codex_backend_sdk":
            raise
        way_out = f"{name} needs {package}, which is not installed: pip install 'codex-backend-sdk[testing]'"
        raise ModuleNotFoundError(way_out, name=error.name) from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
