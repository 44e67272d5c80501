"""Public names of this package, `auth`, `batch`, `testing` and `tools`, imported on first use (PEP 562).

`import codex_backend_sdk` and `import codex_backend_sdk.auth` must not import `openai`, which takes a third of a
second, and the pytest plugin must not import the simulator in a test run that does not use it. Each `__init__`
therefore imports its public names for type checkers only, and gets them from `lazy_names` at run time.

`PUBLIC_NAMES` defines the public names. A test compares it with the imports for type checkers, and `docs/reference`
documents all of them.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Final

from ._constants import INSTALL_EXTRA

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PUBLIC_NAMES", "lazy_names"]

# package → module in `codex_backend_sdk` → the public names that it defines
PUBLIC_NAMES: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "codex_backend_sdk": {
        "_client": ("AsyncOpenAI", "OpenAI"),
        "_exceptions": (
            "BatchInputError",
            "BatchStoppedError",
            "CloudflareBlockedError",
            "CodexBackendUnsupportedParameterError",
            "CodexError",
            "CompactionError",
            "ContextLengthExceededError",
            "ConversationError",
            "CredentialStoreError",
            "HistoryError",
            "IdleTimeoutError",
            "InvalidChatRequestError",
            "InvalidEncryptedContentError",
            "JournalError",
            "JournalLockedError",
            "LoginFailedError",
            "LoginRejectedError",
            "LoginRequiredError",
            "MaxTurnsError",
            "ModelNotAvailableError",
            "OutputValidationError",
            "PolicyViolationError",
            "QuotaExceededError",
            "RegionNotSupportedError",
            "RepeatedCallError",
            "ResponseFailedError",
            "RunPausedError",
            "RunStoppedError",
            "ServerOverloadedError",
            "StreamInterruptedError",
            "TokenRefreshError",
            "TooManyRequestsError",
            "ToolDefinitionError",
            "ToolResultError",
            "TotalTimeoutError",
            "UnexpectedResponseError",
            "UnsupportedEndpointError",
            "UnsupportedParameterError",
            "UsageLimitError",
            "UsageNotIncludedError",
        ),
        "_items": ("UnknownItem",),
        "_streaming.events": ("UnknownEvent",),
        "_streaming.streams": (
            "AsyncChatCompletionStream",
            "AsyncResponseEventStream",
            "ChatCompletionStream",
            "ResponseEventStream",
        ),
        "auth.static_token": ("StaticToken",),
        "conversation.conversation": ("AsyncConversation", "Conversation"),
        "conversation.event_stream": ("AsyncConversationStream", "ConversationStream"),
        "conversation.state": ("ConversationUsage",),
        "conversation.turn": ("CompactionEvent",),
        "limits.limit_types": (
            "AdditionalLimit",
            "Credits",
            "ModelUsage",
            "RateLimitWindow",
            "RateLimits",
            "ResetCredit",
            "ResetCredits",
            "ResetResult",
            "SpendControl",
            "UsageReport",
        ),
        "limits.usage_history": ("UsageHistory", "UsageReading"),
        "resources.explain_report": ("Explanation", "Finding", "PreparedRequest", "TokenEstimate"),
        "resources.models": ("Model", "ReasoningLevel"),
        "types": ("Account", "Clock", "DeviceCode", "Login", "Retry", "Routing", "Secret", "Workspace"),
    },
    "codex_backend_sdk.batch": {
        "batch.batch": ("AsyncBatch", "Batch"),
        "batch.inputs": ("read_requests",),
        "batch.results": ("BatchError", "BatchProgress", "BatchResult", "read_results"),
    },
    "codex_backend_sdk.auth": {
        "auth.credentials": ("Credentials", "exchange_api_key", "resolve_credentials"),
        "auth.static_token": ("StaticToken",),
        "auth.stores.base": ("CredentialStore",),
        "auth.stores.file": ("FileStore",),
        "auth.stores.keyring": ("KeyringStore",),
        "auth.stores.memory": ("MemoryStore",),
        "auth.stores.redis": ("RedisStore",),
        "auth.token_manager": ("CredentialSource",),
        "types": ("Account", "DeviceCode", "Login", "Secret"),
    },
    "codex_backend_sdk.history": {
        "history": (
            "prepare",
            "PreparedHistory",
            "validate",
            "Problem",
            "pair",
            "stamp",
            "strip",
            "without_reasoning",
            "compaction_indexes",
            "finished_items",
            "failed_item_index",
        ),
    },
    "codex_backend_sdk.tools": {
        "tools.calls": ("Allow", "Deny", "Pause", "ToolCall", "ToolCallFinished", "ToolCallStarted"),
        "tools.function_tool": ("CustomTool", "FunctionTool", "ToolSet", "tool"),
        "tools.outputs": ("ToolFile", "ToolImage"),
    },
    "codex_backend_sdk.testing": {
        "testing.model_catalog": ("CatalogEntry", "ModelCatalog"),
        "testing.backend.simulated_limits": ("SimulatedAdditionalLimit", "SimulatedLimits", "SimulatedWindow"),
        "testing.http.recording": ("RecordedModelRequest", "RecordedRequest"),
        "testing.http.request_summary": ("RequestSummary", "ResponseSummary"),
        "testing.issuer.device_codes": ("DeviceLoginSettings",),
        "testing.serve_command": ("serve",),
        "testing.simulated_account": ("SimulatedAccount",),
        "testing.simulator": ("Simulator",),
        "testing.turns": ("Turn",),
        "testing.websocket.settings": ("WebSocketSettings",),
        "testing.websocket.websocket_log": ("RecordedFrame", "RecordedWebSocket"),
    },
}


def lazy_names(
    package: str, *, extra: str | None = None
) -> tuple[list[str], Callable[[str], object], Callable[[], list[str]]]:
    """Return `__all__`, `__getattr__` and `__dir__` for a package.

    `extra` is the optional dependency group of the package. If a dependency is missing, `__getattr__` raises a
    ModuleNotFoundError with the command that installs the group.
    """
    module_of = {name: module for module, names in PUBLIC_NAMES[package].items() for name in names}

    def __getattr__(name: str) -> object:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            value: object = getattr(import_module(f"codex_backend_sdk.{module_of[name]}"), name)
        except ModuleNotFoundError as error:
            dependency = (error.name or "").partition(".")[0]
            if extra is None or dependency == "codex_backend_sdk":
                raise
            raise ModuleNotFoundError(
                f"{name} needs {dependency}, which is not installed. {INSTALL_EXTRA.format(extra)}",
                name=error.name,
            ) from error
        setattr(sys.modules[package], name, value)  # the next access does not call this function
        return value

    def __dir__() -> list[str]:
        return sorted({*vars(sys.modules[package]), *module_of})

    return sorted(module_of), __getattr__, __dir__
