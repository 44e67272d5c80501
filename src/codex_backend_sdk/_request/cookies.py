"""Keep Cloudflare's cookies, separately for each login, and send no other cookies.

The HTTP client is shared by the copies of a client, which may have different logins. Its own cookie jar would send the
cookies of one account with the requests of another, so it is not used: neither for the client that this package opens
nor for a caller's. A `Cookie` header of the caller is sent unchanged, without the cookies of this module.

Cloudflare recognizes a client by its cookies, and challenges those that discard them more often. The hosts and names
are those of the Codex CLI (http-client, in the module of its cookie store).
"""

from __future__ import annotations

from http.cookiejar import Cookie, CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import httpx2

from .._threads import create_lock

if TYPE_CHECKING:
    from urllib.request import Request

    from ..types import Login

__all__ = ["CloudflareCookies", "create_closed_jar", "mark_callers_cookie"]

_HOSTS: Final = ("chatgpt.com", "chat.openai.com", "chatgpt-staging.com")
_NAMES: Final = frozenset(
    {
        "__cf_bm",
        "__cflb",
        "__cfruid",
        "__cfseq",
        "__cfwaitingroom",
        "_cfuvid",
        "cf_clearance",
        "cf_ob_info",
        "cf_use_ob",
    }
)
_NAME_PREFIX: Final = "cf_chl_"
# Request extensions: the caller set the `Cookie` header; the account and the user of the login.
_CALLERS_COOKIE: Final = "codex_backend_sdk.callers_cookie"
_SIGNED_FOR: Final = "codex_backend_sdk.signed_for"
# Bounds the memory of a server that signs each request with the login of a different user.
_MAX_LOGINS: Final = 1000


class CloudflareCookies:
    """The cookies of a client and its copies. Its `repr` shows none."""

    def __init__(self) -> None:
        self._cookies: dict[tuple[str | None, str | None], httpx2.Cookies] = {}
        self._lock = create_lock()

    def store(self, response: httpx2.Response) -> None:
        """Store Cloudflare's cookies of a response for the login that signed its request."""
        key = response.request.extensions.get(_SIGNED_FOR)
        if "set-cookie" not in response.headers or key is None:
            return
        with self._lock:
            if key not in self._cookies and len(self._cookies) >= _MAX_LOGINS:
                del self._cookies[next(iter(self._cookies))]
            cookies = self._cookies.setdefault(key, httpx2.Cookies(CookieJar(policy=_CloudflarePolicy())))
        cookies.extract_cookies(response)

    def sign(self, request: httpx2.Request, login: Login) -> None:
        """Replace the request's cookies by those of this login, unless they are the caller's own."""
        request.extensions[_SIGNED_FOR] = key = login.account_id, login.user_id
        if _CALLERS_COOKIE in request.extensions:
            return
        if "cookie" in request.headers:
            del request.headers["cookie"]
        cookies = self._cookies.get(key)
        if cookies is not None:
            cookies.set_cookie_header(request)


def mark_callers_cookie(request: httpx2.Request) -> None:
    """Keep the `Cookie` header of a request, which the caller set."""
    request.extensions[_CALLERS_COOKIE] = True


def create_closed_jar() -> CookieJar:
    """Return a cookie jar that accepts no cookies."""
    return CookieJar(policy=DefaultCookiePolicy(allowed_domains=()))


class _CloudflarePolicy(DefaultCookiePolicy):
    """The policy that accepts Cloudflare's cookies of OpenAI's hosts over https."""

    def set_ok(self, cookie: Cookie, request: Request) -> bool:
        is_cloudflare = cookie.name in _NAMES or cookie.name.startswith(_NAME_PREFIX)
        return is_cloudflare and _is_openai_url(request.full_url) and super().set_ok(cookie, request)

    def return_ok(self, cookie: Cookie, request: Request) -> bool:
        return _is_openai_url(request.full_url) and super().return_ok(cookie, request)


def _is_openai_url(url: str) -> bool:
    parts = urlsplit(url)
    host = parts.hostname or ""
    return parts.scheme == "https" and (host in _HOSTS or host.endswith(".chatgpt.com"))
