"""Mode `classes`: the official clients, with our event streams and our `responses` resource in place.

Our streams stand in where ours are used: for the events of responses. Other streams stay official.
"""

from __future__ import annotations

import openai
from openai.resources import responses as package
from openai.resources.responses import responses as module

from codex_backend_sdk._streaming.streams import AsyncResponseEventStream, ResponseEventStream
from codex_backend_sdk.resources.responses import AsyncResponses, Responses


def install() -> None:
    """Rebind the names by which the official code reaches these classes."""
    # The resource names its stream class at each call: `stream_cls=Stream[ResponseStreamEvent]`.
    vars(module).update(Stream=ResponseEventStream, AsyncStream=AsyncResponseEventStream)
    # The client imports its resource when it is first used.
    for place in (module, package):
        vars(place).update(Responses=Responses, AsyncResponses=AsyncResponses)
    with openai.OpenAI(api_key="none") as client:
        assert type(client.responses) is Responses
        assert type(client.responses.with_raw_response._responses) is Responses
