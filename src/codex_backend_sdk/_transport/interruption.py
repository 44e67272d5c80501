"""A cut answer on its way through upstream's retry loop, which knows lost connections only."""

from __future__ import annotations

import httpx2
import openai

from .._errors import StreamInterrupted

__all__ = ["retriable", "told_truly"]


def retriable(cut: StreamInterrupted) -> httpx2.RemoteProtocolError:
    """Return the error by which upstream's retry loop knows a connection that broke; nobody has seen the answer yet."""
    return httpx2.RemoteProtocolError(str(cut), request=cut.request)


def told_truly(error: openai.APIConnectionError) -> openai.APIConnectionError:
    """Say which address could not be reached and why; a cut answer is what it was before upstream's last attempt."""
    cause = error.__cause__
    cut = cause.__cause__ if cause is not None else None
    if isinstance(cut, StreamInterrupted):
        return cut
    if type(error) is not openai.APIConnectionError or cause is None:
        return error
    address = error.request.url.copy_with(query=None)
    if isinstance(cause, httpx2.LocalProtocolError):
        # Its text and its frames have the header that cannot be sent, which may be the token's.
        error.__cause__ = error.__context__ = None
        return openai.APIConnectionError(
            message=f"The request to {address} could not be sent: it breaks the rules of HTTP. Is there a line break "
            "or another control character in a header (`default_headers`, `extra_headers`, your own credentials)?",
            request=error.request,
        )
    return openai.APIConnectionError(
        message=f"Connection error: {address} could not be reached ({cause or type(cause).__name__}). "
        "Is the network up, and the proxy or `base_url` right?",
        request=error.request,
    )
