"""How requests reach the issuer: this host alone, and nothing that is said to it can be overheard in an error.

A request is finished before it is sent, so that no frame of a traceback has a token among its variables, and the
errors of httpx, whose frames have all of it, end here.
"""

from __future__ import annotations

import platform
import re
from contextlib import contextmanager
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final

import httpx2

from codex_backend_sdk.auth.certificates import NO_PROXY_FOR_PLAIN_HTTP, tls_context

if TYPE_CHECKING:
    from collections.abc import Iterator

    from codex_backend_sdk._types import Secret

__all__ = ["Channel", "Unreachable"]

_TIMEOUT: Final = httpx2.Timeout(30, connect=10)


class Unreachable(Exception):
    """No answer that could be used; the text says why, as a sentence without its full stop.

    `may_pass` tells whether another try may succeed.
    """

    def __init__(self, text: str, *, may_pass: bool) -> None:
        super().__init__(text)
        self.may_pass = may_pass


class Channel:
    """Sends requests to one issuer. `http` is the caller's own client and stays open; else each request opens one."""

    def __init__(self, url: str, *, originator: str, http: httpx2.Client | None = None) -> None:
        self.url = url
        # The name of a calling application may hold what a header value may not. Codex CLI:
        # login/src/auth/default_client.rs replaces such characters, too.
        self.originator = re.sub(r"[^ -~]", "_", originator)
        self._http = http

    def request(
        self,
        method: str,
        path: str,
        *,
        bearer: Secret | None = None,
        timeout: httpx2.Timeout = _TIMEOUT,
        **body: Any,
    ) -> httpx2.Request:
        """Build a request; `body` is `json=` or `data=`."""
        headers = {"originator": self.originator, "user-agent": _user_agent()}
        if bearer is not None:
            headers["authorization"] = f"Bearer {bearer.reveal()}"
        return httpx2.Request(
            method, self.url + path, headers=headers, extensions={"timeout": timeout.as_dict()}, **body
        )

    def send(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request and read the answer; Unreachable when there is none, or a redirect."""
        try:
            with self._client() as http:
                # The tokens are for this host: no redirect. They are all that signs: neither a client's default
                # nor ~/.netrc has a say here.
                answer = http.send(request, auth=httpx2.Auth(), follow_redirects=False)
        except httpx2.LocalProtocolError:  # its text has the header that cannot be sent, which may be the token's
            problem, may_pass = f"the request to {self.url} could not be sent: it breaks the rules of HTTP", False
        except httpx2.HTTPError as error:
            may_pass = True
            problem = f"{self.url} could not be reached ({str(error) or type(error).__name__})"
        else:
            if answer.has_redirect_location:
                raise Unreachable(f"{self.url} redirects elsewhere, which is not followed", may_pass=False)
            return answer
        # Not in the handler: there the error of httpx would go along as the context.
        raise Unreachable(problem, may_pass=may_pass)

    @contextmanager
    def _client(self) -> Iterator[httpx2.Client]:
        if self._http is not None:
            yield self._http
            return
        with httpx2.Client(verify=tls_context(), mounts=NO_PROXY_FOR_PLAIN_HTTP) as http:
            yield http


def _user_agent() -> str:
    version = metadata.version("codex-backend-sdk")
    return f"codex_backend_sdk/{version} ({platform.system() or 'unknown'}; {platform.machine() or 'unknown'})"
