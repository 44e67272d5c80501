"""How requests reach the issuer: this host alone, and nothing that is said to it can be overheard in an error.

A request is finished before it is sent, so that no frame of a traceback has a token among its variables, and the
errors of httpx, whose frames have all of it, end here.

Of what signs in and renews, this module and `network` alone import httpx2, and they are imported for the first request:
who only reads a stored login does not wait for that.
"""

from __future__ import annotations

import platform
import time
from concurrent.futures import wait
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Final

import httpx2

from .._version import __version__
from ._deadline import begun
from ._failures import Unreachable
from ._network import opened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..types import Secret

__all__ = ["Channel"]

_READ_SECONDS: Final = 30.0
_CONNECT_SECONDS: Final = 10.0
# httpx limits each read alone, so that one byte now and then would hold up everybody who waits for a renewal. The head
# of an answer is read by httpx alone, which cannot be stopped there: its thread is left behind.
_ANSWER_SECONDS: Final = 60.0


class Channel:
    """Sends requests to one issuer. `http` is the caller's own client and stays open; else each request opens one.

    `answer_seconds` is how long an answer may take altogether.
    """

    def __init__(
        self,
        url: str,
        *,
        originator: str,
        http: httpx2.Client | None = None,
        answer_seconds: float = _ANSWER_SECONDS,
    ) -> None:
        self._url = url
        self._originator = originator
        self._http = http
        self._answer_seconds = answer_seconds

    def check(self) -> None:
        """Raise Unreachable when the environment allows no connection."""
        with self._client():
            pass

    def request(
        self, method: str, path: str, *, bearer: Secret | None = None, seconds: float = _READ_SECONDS, **body: Any
    ) -> httpx2.Request:
        """Build a request; `body` is `json=` or `data=`, `seconds` how long a silence of the issuer may last."""
        headers = {"originator": self._originator, "user-agent": _user_agent()}
        if bearer is not None:
            headers["authorization"] = f"Bearer {bearer.reveal()}"
        timeout = httpx2.Timeout(seconds, connect=_CONNECT_SECONDS).as_dict()
        return httpx2.Request(method, self._url + path, headers=headers, extensions={"timeout": timeout}, **body)

    def send(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request and read the answer; Unreachable when there is none, or a redirect."""
        try:
            came = begun(lambda: self._ask(request), name="codex-login-request")
            answer, body = came.result() if wait([came], self._answer_seconds).done else (None, None)
        except httpx2.LocalProtocolError:  # its text has the header that cannot be sent, which may be the token's
            problem, may_pass = f"the request to {self._url} could not be sent: it breaks the rules of HTTP", False
        except httpx2.HTTPError as error:
            may_pass = True
            problem = f"{self._url} could not be reached ({str(error) or type(error).__name__})"
        else:
            if answer is not None and answer.has_redirect_location:
                raise Unreachable(f"{self._url} redirects elsewhere, which is not followed", may_pass=False)
            if answer is not None and body is not None:
                return httpx2.Response(answer.status_code, content=body)
            problem = f"{self._url} has not finished its answer within {self._answer_seconds:g} seconds"
            may_pass = True
        # Not in the handler: there the error of httpx would go along as the context.
        raise Unreachable(problem, may_pass=may_pass)

    def _ask(self, request: httpx2.Request) -> tuple[httpx2.Response, bytes | None]:
        with self._client() as http:
            # The tokens are for this host: no redirect. They are all that signs: neither a client's default
            # nor ~/.netrc has a say here.
            answer = http.send(request, auth=httpx2.Auth(), follow_redirects=False, stream=True)
            return answer, _body(answer, seconds=self._answer_seconds)

    @contextmanager
    def _client(self) -> Iterator[httpx2.Client]:
        if self._http is not None:
            yield self._http
            return
        try:
            http = opened(httpx2.Client)
        except ValueError as error:
            raise Unreachable(f"{self._url} cannot be asked: {str(error).rstrip('.')}", may_pass=False) from None
        with http:
            yield http


def _body(answer: httpx2.Response, *, seconds: float) -> bytes | None:
    """Read an answer to its end; None when that takes longer."""
    end = time.monotonic() + seconds
    with closing(answer):
        chunks: list[bytes] = []
        for chunk in answer.iter_bytes():
            chunks.append(chunk)
            if time.monotonic() > end:
                return None
        return b"".join(chunks)


def _user_agent() -> str:
    return f"codex_backend_sdk/{__version__} ({platform.system() or 'unknown'}; {platform.machine() or 'unknown'})"
