"""A simulator of the Codex backend and its OAuth issuer, for tests and for using the package without a login.

    with Simulator() as sim:
        client = sim.client()
        print(client.responses.create(input="Say hi.").output_text)

It requires the extra `testing`. Names are imported on first use, because the pytest plugin imports
this package in every test run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._public import lazy_names

if TYPE_CHECKING:
    from .backend.simulated_limits import SimulatedAdditionalLimit as SimulatedAdditionalLimit
    from .backend.simulated_limits import SimulatedLimits as SimulatedLimits
    from .backend.simulated_limits import SimulatedWindow as SimulatedWindow
    from .http.recording import RecordedModelRequest as RecordedModelRequest
    from .http.recording import RecordedRequest as RecordedRequest
    from .http.request_summary import RequestSummary as RequestSummary
    from .http.request_summary import ResponseSummary as ResponseSummary
    from .issuer.device_codes import DeviceLoginSettings as DeviceLoginSettings
    from .model_catalog import CatalogEntry as CatalogEntry
    from .model_catalog import ModelCatalog as ModelCatalog
    from .serve_command import serve as serve
    from .simulated_account import SimulatedAccount as SimulatedAccount
    from .simulator import Simulator as Simulator
    from .turns import Turn as Turn
    from .websocket.settings import WebSocketSettings as WebSocketSettings
    from .websocket.websocket_log import RecordedFrame as RecordedFrame
    from .websocket.websocket_log import RecordedWebSocket as RecordedWebSocket
else:
    __all__, __getattr__, __dir__ = lazy_names(__name__, extra="testing")
