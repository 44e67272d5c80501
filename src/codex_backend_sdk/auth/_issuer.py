"""The conversation with the OAuth issuer: code exchange, refresh, revocation, device code, whose token it is."""

from __future__ import annotations

import logging
import re
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal

from . import _access_token_kind, _device_code, _oauth
from ._failures import Unreachable, login_failed

if TYPE_CHECKING:
    import httpx2

    from .._exceptions import LoginFailedError
    from ..types import DeviceCode, Login, Secret
    from ._channel import Channel
    from ._jwt import RefreshReason

__all__ = ["Issuer"]

log = logging.getLogger("codex_backend_sdk.auth")

_REVOKE_SECONDS: Final = 10.0  # Codex CLI: login/src/auth/revoke.rs
_TOKEN_PATH: Final = "/oauth/token"
_REVOKE_PATH: Final = "/oauth/revoke"


class Issuer:
    """Speaks to one issuer. `http` is the caller's own client, which stays open; else each request opens one."""

    def __init__(self, url: str, *, originator: str, http: httpx2.Client | None = None) -> None:
        self.url = url
        # The name of a calling application may hold what a header value may not. Codex CLI:
        # login/src/auth/default_client.rs replaces such characters, too.
        self.originator = re.sub(r"[^ -~]", "_", originator)
        self._http = http

    @cached_property
    def _channel(self) -> Channel:
        from ._channel import Channel

        return Channel(self.url, originator=self.originator, http=self._http)

    def check(self) -> None:
        """Raise LoginFailedError when the environment allows no connection: nobody shall sign in for nothing."""
        try:
            self._channel.check()
        except Unreachable as error:
            raise login_failed(f"{error}.", code="no_connection") from None

    # --- signing in and out ----------------------------------------------------------------------------------

    def exchange(self, grant: _oauth.Grant) -> _oauth.TokenAnswer:
        """Turn an authorization code into tokens; LoginFailedError when the issuer refuses or cannot be reached."""
        answer = self._granted(
            self._channel.request("POST", _TOKEN_PATH, data=_oauth.exchange_form(grant)), hide=grant.code
        )
        try:
            return _oauth.read_answer(answer.content, required=_oauth.TOKEN_NAMES)
        except ValueError as error:
            problem = str(error)
        raise _exchange_failed(problem)

    def api_key(self, id_token: Secret) -> Secret:
        """Get an API key of the platform for an id token; LoginFailedError when the issuer refuses."""
        answer = self._granted(
            self._channel.request("POST", _TOKEN_PATH, data=_oauth.api_key_form(id_token)), hide=id_token
        )
        try:
            return _oauth.read_api_key(answer.content)
        except ValueError:
            problem = "the answer has no key in it"
        raise _exchange_failed(problem)

    def revoke(self, *, refresh_token: Secret | None, access_token: Secret) -> bool:
        """Make the tokens worthless at the issuer; False when it did not confirm."""
        request = self._channel.request(
            "POST",
            _REVOKE_PATH,
            json=_oauth.revoke_body(refresh_token=refresh_token, access_token=access_token),
            seconds=_REVOKE_SECONDS,
        )
        try:
            answer = self._channel.send(request)
        except Unreachable as error:
            log.warning("The login could not be revoked: %s.", error)
            return False
        if not answer.is_success:
            log.warning("The login could not be revoked: %s answered with status %d.", self.url, answer.status_code)
        return answer.is_success

    def _granted(self, request: httpx2.Request, *, hide: Secret) -> httpx2.Response:
        try:
            answer = self._channel.send(request)
        except Unreachable as error:
            raise _exchange_failed(str(error)) from None
        if not answer.is_success:
            said = _oauth.error_text(answer.content, hide=hide)
            raise _exchange_failed(f"the token endpoint returned status {answer.status_code}: {said}")
        return answer

    # --- renewal ---------------------------------------------------------------------------------------------

    def refresh(self, refresh_token: Secret, *, reason: RefreshReason) -> _oauth.TokenAnswer | _oauth.RefreshFailure:
        """Ask for new tokens. A failure is a value: what to do about it depends on who asks."""
        try:
            answer = self._channel.send(
                self._channel.request("POST", _TOKEN_PATH, json=_oauth.refresh_body(refresh_token, reason=reason))
            )
        except Unreachable as error:
            return _oauth.RefreshFailure("transient", f"{error}.")
        if not answer.is_success:  # any 2xx may hold the new tokens, and the old one is used up
            return _oauth.classify_refresh(answer.status_code, answer.content)
        try:
            return _oauth.read_answer(answer.content)
        except ValueError as error:
            return _oauth.RefreshFailure("transient", f"{self.url} answered the refresh, but {error}.")

    # --- device code -----------------------------------------------------------------------------------------

    def user_code(self) -> DeviceCode | _device_code.Refusal:
        """Ask for a device code; LoginFailedError when the issuer cannot be reached."""
        request = self._channel.request("POST", _device_code.USER_CODE_PATH, json=_device_code.user_code_body())
        try:
            answer = self._channel.send(request)
        except Unreachable as error:
            raise login_failed(f"No device code was given: {error}.", code="device_code_failed") from None
        return _device_code.read_user_code(answer.status_code, answer.content, issuer=self.url)

    def poll(self, code: DeviceCode) -> _oauth.Grant | Literal["pending"] | _device_code.Refusal:
        """Ask whether the code was typed in. An issuer that cannot be reached just now counts as "not yet"."""
        try:
            answer = self._channel.send(
                self._channel.request("POST", _device_code.POLL_PATH, json=_device_code.poll_body(code))
            )
        except Unreachable as error:
            if not error.may_pass:
                return _device_code.Refusal("device_code_failed", f"Device sign-in failed: {error}.")
            log.info("%s; asking again.", error)
            return _device_code.PENDING
        return _device_code.judge_poll(answer.status_code, answer.content, issuer=self.url)

    # --- access tokens ---------------------------------------------------------------------------------------

    def whoami(self, token: Secret) -> Login | _access_token_kind.Unknown:
        """Ask whose personal access token this is. A failure is a value."""
        try:
            answer = self._channel.send(self._channel.request("GET", _access_token_kind.WHOAMI_PATH, bearer=token))
        except Unreachable as error:
            return _access_token_kind.Unknown(f"{error}.", is_permanent=False)
        return _access_token_kind.login_of_personal(token, answer.status_code, answer.content)


def _exchange_failed(detail: str) -> LoginFailedError:
    return login_failed(f"Token exchange failed: {detail.rstrip('.')}.", code="token_exchange_failed")
