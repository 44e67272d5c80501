"""A Codex backend and its login issuer on this machine, for tests and for trying the package without a login.

    with Simulator() as sim:
        client = sim.client()
        print(client.responses.create(input="Say hi.").output_text)

Needs the extra `codex-backend-sdk[testing]`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._public import lazy_names

if TYPE_CHECKING:
    from .backend.limits_state import AdditionalLimit as AdditionalLimit
    from .backend.limits_state import Limits as Limits
    from .backend.limits_state import Window as Window
    from .foreground import serve as serve
    from .http.record import RecordedRequest as RecordedRequest
    from .issuer.device_codes import DeviceSettings as DeviceSettings
    from .sim_account import Account as Account
    from .simulator import Simulator as Simulator
    from .turns import Turn as Turn
else:
    __all__, __getattr__, __dir__ = lazy_names(__name__, extra="testing")
