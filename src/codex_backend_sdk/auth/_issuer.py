"""The client of the OAuth issuer: code exchange, refresh, revocation, device codes, accounts of personal access tokens.

Each method sends one request (`_http`) and hands the response to a pure parser (`_oauth`, `_device_code`). Methods of a
login raise the public exceptions; `refresh` and the device code methods return a failure as a value, since their
callers decide what it means.
"""

from __future__ import annotations

import logging
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal

from .._coerce import as_header_text
from . import _auth_errors, _auth_json, _device_code, _oauth
from ._auth_errors import IssuerConnectionError

if TYPE_CHECKING:
    import httpx2

    from .._exceptions import LoginFailedError
    from ..types import DeviceCode, Login, Secret
    from ._http import IssuerTransport
    from ._jwt import RefreshReason

__all__ = ["IssuerClient"]

log = logging.getLogger("codex_backend_sdk.auth")

_REVOKE_TIMEOUT_SECONDS: Final = 10.0  # Codex CLI: login/src/auth/revoke.rs
_TOKEN_PATH: Final = "/oauth/token"
_REVOKE_PATH: Final = "/oauth/revoke"


class IssuerClient:
    """Calls one issuer. `http` is the caller's own client, which stays open; else each request opens one."""

    def __init__(self, url: str, *, originator: str, http: httpx2.Client | None = None) -> None:
        self.url = url
        self.originator = as_header_text(originator)
        self._http = http

    @cached_property
    def _transport(self) -> IssuerTransport:
        from ._http import IssuerTransport  # imports httpx2

        return IssuerTransport(self.url, originator=self.originator, http=self._http)

    def check_connection(self) -> None:
        """Raise LoginFailedError if the environment allows no connection, before the user logs in for nothing."""
        try:
            self._transport.check()
        except IssuerConnectionError as error:
            raise _auth_errors.LoginFailedError(f"{error}.", code="no_connection") from None

    # --- logging in and out ------------------------------------------------------------------------------------------

    def exchange_code(self, grant: _oauth.AuthorizationGrant) -> _auth_json.TokenResponse:
        """Exchange an authorization code for tokens; LoginFailedError if the issuer refuses or cannot be reached."""
        request = self._transport.build_request("POST", _TOKEN_PATH, data=_oauth.build_code_exchange_form(grant))
        response = self._send_exchange(request, hide=grant.code)
        try:
            return _oauth.parse_token_response(response.content, required=_oauth.TOKEN_NAMES)
        except ValueError as error:
            raise _exchange_failed(str(error)) from None

    def exchange_api_key(self, id_token: Secret) -> Secret:
        """Exchange an id token for an API key of the platform; LoginFailedError if the issuer refuses."""
        request = self._transport.build_request("POST", _TOKEN_PATH, data=_oauth.build_api_key_form(id_token))
        response = self._send_exchange(request, hide=id_token)
        try:
            return _oauth.parse_api_key(response.content)
        except ValueError:
            raise _exchange_failed("the response has no API key in it") from None

    def _send_exchange(self, request: httpx2.Request, *, hide: Secret) -> httpx2.Response:
        """Send a request to the token endpoint. Returns the response, whose `repr` does not show its body."""
        try:
            response = self._transport.send(request)
        except IssuerConnectionError as error:
            raise _exchange_failed(str(error)) from None
        if not response.is_success:
            detail = _oauth.describe_error(response.content, hide=hide)
            raise _exchange_failed(f"the token endpoint returned status {response.status_code}: {detail}")
        return response

    def revoke(self, *, refresh_token: Secret | None, access_token: Secret) -> bool:
        """Revoke a login. Returns False, with a warning in the log, if the issuer did not confirm."""
        request = self._transport.build_request(
            "POST",
            _REVOKE_PATH,
            json=_oauth.build_revoke_body(refresh_token=refresh_token, access_token=access_token),
            timeout=_REVOKE_TIMEOUT_SECONDS,
        )
        try:
            response = self._transport.send(request)
        except IssuerConnectionError as error:
            log.warning("The login could not be revoked: %s.", error)
            return False
        if not response.is_success:
            log.warning("The login could not be revoked: %s returned status %d.", self.url, response.status_code)
        return response.is_success

    # --- refresh -----------------------------------------------------------------------------------------------------

    def refresh(
        self, refresh_token: Secret, *, reason: RefreshReason
    ) -> _auth_json.TokenResponse | _oauth.RefreshFailure:
        """Refresh a login. Returns a failure as a value."""
        request = self._transport.build_request(
            "POST", _TOKEN_PATH, json=_oauth.build_refresh_body(refresh_token, reason=reason)
        )
        try:
            response = self._transport.send(request)
        except IssuerConnectionError as error:
            return _oauth.RefreshFailure("transient", f"{error}.")
        if not response.is_success:  # any 2xx may hold the new tokens, and the old refresh token is used up then
            return _oauth.classify_refresh_failure(response.status_code, response.content)
        try:
            return _oauth.parse_token_response(response.content)
        except ValueError as error:
            return _oauth.RefreshFailure("transient", f"{self.url} refreshed the login, but {error}.")

    # --- device code -------------------------------------------------------------------------------------------------

    def request_device_code(self) -> DeviceCode | _device_code.DeviceCodeFailure:
        """Request a device code; LoginFailedError if the issuer cannot be reached."""
        request = self._transport.build_request(
            "POST", _device_code.USER_CODE_PATH, json=_device_code.build_user_code_body()
        )
        try:
            response = self._transport.send(request)
        except IssuerConnectionError as error:
            raise _auth_errors.LoginFailedError(
                f"The issuer gave no device code: {error}.", code="device_code_failed"
            ) from None
        return _device_code.parse_user_code(response.status_code, response.content, issuer=self.url)

    def poll_device_code(
        self, code: DeviceCode
    ) -> _oauth.AuthorizationGrant | Literal["pending"] | _device_code.DeviceCodeFailure:
        """Return the grant if the user has entered the code. "pending" also if the issuer cannot be reached for now."""
        request = self._transport.build_request("POST", _device_code.POLL_PATH, json=_device_code.build_poll_body(code))
        try:
            response = self._transport.send(request)
        except IssuerConnectionError as error:
            if not error.is_transient:
                return _device_code.DeviceCodeFailure("device_code_failed", f"The device login failed: {error}.")
            log.info("%s; trying again.", error)
            return _device_code.PENDING
        return _device_code.parse_poll(response.status_code, response.content, issuer=self.url)

    # --- personal access tokens --------------------------------------------------------------------------------------

    def fetch_login(self, token: Secret, *, location: str, remedy: str) -> Login:
        """Return the login of a personal access token. `location` and `remedy` complete the error messages.

        Raises LoginRequiredError if the issuer refuses the token, TokenRefreshError if a later attempt may succeed.
        """
        request = self._transport.build_request("GET", _oauth.WHOAMI_PATH, bearer=token)
        result: Login | _oauth.WhoamiFailure
        try:
            response = self._transport.send(request)
        except IssuerConnectionError as error:
            result = _oauth.WhoamiFailure(f"{error}.", is_permanent=False)
        else:
            result = _oauth.parse_whoami(token, response.status_code, response.content)
        if not isinstance(result, _oauth.WhoamiFailure):
            return result
        message = f"The personal access token in {location} cannot be used. {result.message}"
        if result.is_permanent:
            raise _auth_errors.LoginRequiredError(f"{message} {remedy}")
        raise _auth_errors.TokenRefreshError(message)


def _exchange_failed(detail: str) -> LoginFailedError:
    # "Token exchange failed" is the Codex CLI's wording.
    return _auth_errors.LoginFailedError(f"Token exchange failed: {detail.rstrip('.')}.", code="token_exchange_failed")
