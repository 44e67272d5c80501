"""The official OpenAI Python client, running on the ChatGPT Codex backend with your own ChatGPT plan.

    from codex_backend_sdk import OpenAI

    client = OpenAI().authenticate()
    print(client.responses.create(input="Explain quicksort in one paragraph.").output_text)

This package is independent of OpenAI and not endorsed by OpenAI. It uses undocumented endpoints, which may change
without notice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._public import lazy_names
from ._version import __version__ as __version__

if TYPE_CHECKING:
    from ._client import AsyncOpenAI as AsyncOpenAI
    from ._client import OpenAI as OpenAI
    from ._exceptions import BatchInputError as BatchInputError
    from ._exceptions import BatchStoppedError as BatchStoppedError
    from ._exceptions import CloudflareBlockedError as CloudflareBlockedError
    from ._exceptions import CodexBackendUnsupportedParameterError as CodexBackendUnsupportedParameterError
    from ._exceptions import CodexError as CodexError
    from ._exceptions import CompactionError as CompactionError
    from ._exceptions import ContextLengthExceededError as ContextLengthExceededError
    from ._exceptions import ConversationError as ConversationError
    from ._exceptions import CredentialStoreError as CredentialStoreError
    from ._exceptions import HistoryError as HistoryError
    from ._exceptions import IdleTimeoutError as IdleTimeoutError
    from ._exceptions import InvalidChatRequestError as InvalidChatRequestError
    from ._exceptions import InvalidEncryptedContentError as InvalidEncryptedContentError
    from ._exceptions import JournalError as JournalError
    from ._exceptions import JournalLockedError as JournalLockedError
    from ._exceptions import LoginFailedError as LoginFailedError
    from ._exceptions import LoginRejectedError as LoginRejectedError
    from ._exceptions import LoginRequiredError as LoginRequiredError
    from ._exceptions import MaxTurnsError as MaxTurnsError
    from ._exceptions import ModelNotAvailableError as ModelNotAvailableError
    from ._exceptions import OutputValidationError as OutputValidationError
    from ._exceptions import PolicyViolationError as PolicyViolationError
    from ._exceptions import QuotaExceededError as QuotaExceededError
    from ._exceptions import RegionNotSupportedError as RegionNotSupportedError
    from ._exceptions import RepeatedCallError as RepeatedCallError
    from ._exceptions import ResponseFailedError as ResponseFailedError
    from ._exceptions import RunPausedError as RunPausedError
    from ._exceptions import RunStoppedError as RunStoppedError
    from ._exceptions import ServerOverloadedError as ServerOverloadedError
    from ._exceptions import StreamInterruptedError as StreamInterruptedError
    from ._exceptions import TokenRefreshError as TokenRefreshError
    from ._exceptions import ToolDefinitionError as ToolDefinitionError
    from ._exceptions import ToolResultError as ToolResultError
    from ._exceptions import TooManyRequestsError as TooManyRequestsError
    from ._exceptions import TotalTimeoutError as TotalTimeoutError
    from ._exceptions import UnexpectedResponseError as UnexpectedResponseError
    from ._exceptions import UnsupportedEndpointError as UnsupportedEndpointError
    from ._exceptions import UnsupportedParameterError as UnsupportedParameterError
    from ._exceptions import UsageLimitError as UsageLimitError
    from ._exceptions import UsageNotIncludedError as UsageNotIncludedError
    from ._items import UnknownItem as UnknownItem
    from ._streaming.events import UnknownEvent as UnknownEvent
    from ._streaming.streams import AsyncChatCompletionStream as AsyncChatCompletionStream
    from ._streaming.streams import AsyncResponseEventStream as AsyncResponseEventStream
    from ._streaming.streams import ChatCompletionStream as ChatCompletionStream
    from ._streaming.streams import ResponseEventStream as ResponseEventStream
    from .auth.static_token import StaticToken as StaticToken
    from .conversation.conversation import AsyncConversation as AsyncConversation
    from .conversation.conversation import Conversation as Conversation
    from .conversation.event_stream import AsyncConversationStream as AsyncConversationStream
    from .conversation.event_stream import ConversationStream as ConversationStream
    from .conversation.state import ConversationUsage as ConversationUsage
    from .conversation.turn import CompactionEvent as CompactionEvent
    from .limits.limit_types import AdditionalLimit as AdditionalLimit
    from .limits.limit_types import Credits as Credits
    from .limits.limit_types import ModelUsage as ModelUsage
    from .limits.limit_types import RateLimits as RateLimits
    from .limits.limit_types import RateLimitWindow as RateLimitWindow
    from .limits.limit_types import ResetCredit as ResetCredit
    from .limits.limit_types import ResetCredits as ResetCredits
    from .limits.limit_types import ResetResult as ResetResult
    from .limits.limit_types import SpendControl as SpendControl
    from .limits.limit_types import UsageReport as UsageReport
    from .limits.usage_history import UsageHistory as UsageHistory
    from .limits.usage_history import UsageReading as UsageReading
    from .resources.explain_report import Explanation as Explanation
    from .resources.explain_report import Finding as Finding
    from .resources.explain_report import PreparedRequest as PreparedRequest
    from .resources.explain_report import TokenEstimate as TokenEstimate
    from .resources.models import Model as Model
    from .resources.models import ReasoningLevel as ReasoningLevel
    from .types import Account as Account
    from .types import Clock as Clock
    from .types import DeviceCode as DeviceCode
    from .types import Login as Login
    from .types import Retry as Retry
    from .types import Routing as Routing
    from .types import Secret as Secret
    from .types import Workspace as Workspace
else:
    __all__, __getattr__, __dir__ = lazy_names(__name__)
