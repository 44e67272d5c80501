"""Python functions as tools of a model: schemas from signatures, calls in parallel, approval, and outputs.

    from codex_backend_sdk.tools import tool

    @tool(timeout=10)
    def temperature(city: str) -> float:
        \"\"\"Return the temperature of a city in degrees Celsius.\"\"\"

`conversation.run(input, tools=[temperature])` runs them until the model has its final response.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._public import lazy_names

if TYPE_CHECKING:
    from .calls import Allow as Allow
    from .calls import Deny as Deny
    from .calls import Pause as Pause
    from .calls import ToolCall as ToolCall
    from .calls import ToolCallFinished as ToolCallFinished
    from .calls import ToolCallStarted as ToolCallStarted
    from .function_tool import CustomTool as CustomTool
    from .function_tool import FunctionTool as FunctionTool
    from .function_tool import ToolSet as ToolSet
    from .function_tool import tool as tool
    from .outputs import ToolFile as ToolFile
    from .outputs import ToolImage as ToolImage
else:
    __all__, __getattr__, __dir__ = lazy_names(__name__)
