"""Send the requests to the OAuth issuer: code exchange, refresh, revocation, device codes and whoami.

Each method sends one request (`_http`) and passes the response to a pure parser (`_oauth`, `_device_code`). The login
methods raise public exceptions. `refresh` and the device code methods return failures as values, because their callers
handle them in different ways.
"""

from __future__ import annotations

import logging
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal

from .._coerce import sanitize_header_value
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
_REVOKE_REMEDY: Final = "It stays valid until it expires. Revoke it in the security settings of ChatGPT."
_TOKEN_PATH: Final = "/oauth/token"
_REVOKE_PATH: Final = "/oauth/revoke"


class IssuerClient:
    """Client for one OAuth issuer. `http` is a client that the caller closes; without it each request opens one."""

    def __init__(self, url: str, *, originator: str, http: httpx2.Client | None = None) -> None:
        self.url = url
        self.originator = sanitize_header_value(originator)
        self._http = http

    @cached_property
    def _transport(self) -> IssuerTransport:
        from ._http import IssuerTransport  # imports httpx2

        return IssuerTransport(self.url, originator=self.originator, http=self._http)

    def check_connection(self) -> None:
        """Raise LoginFailedError if proxy or certificate settings make a connection impossible. Call before a login."""
        try:
            self._transport.check()
        except IssuerConnectionError as error:
            raise _auth_errors.LoginFailedError(str(error), code="no_connection") from None

    # --- logging in and out ------------------------------------------------------------------------------------------

    def exchange_code(self, grant: _oauth.AuthorizationGrant) -> _auth_json.TokenResponse:
        """Exchange an authorization code for tokens. Raises LoginFailedError if this fails."""
        request = self._transport.build_request("POST", _TOKEN_PATH, data=_oauth.build_code_exchange_form(grant))
        response = self._send_exchange(request, secrets=(grant.code, grant.verifier))
        try:
            return _oauth.parse_token_response(response.content, required=_oauth.TOKEN_NAMES)
        except ValueError as error:
            raise _exchange_error(str(error)) from None

    def exchange_api_key(self, id_token: Secret) -> Secret:
        """Exchange an ID token for an API key of the platform. Raises LoginFailedError if this fails."""
        request = self._transport.build_request("POST", _TOKEN_PATH, data=_oauth.build_api_key_form(id_token))
        response = self._send_exchange(request, secrets=(id_token,))
        try:
            return _oauth.parse_api_key(response.content)
        except ValueError:
            raise _exchange_error("the response has no API key") from None

    def _send_exchange(self, request: httpx2.Request, *, secrets: tuple[Secret, ...]) -> httpx2.Response:
        """Send a request to the token endpoint. Its errors do not contain `secrets`, which the request contains."""
        try:
            response = self._transport.send(request)
        except IssuerConnectionError as error:
            raise _exchange_error(str(error)) from None
        if not response.is_success:
            detail = _oauth.describe_error(response.content, secrets=secrets)
            raise _exchange_error(f"the token endpoint returned status {response.status_code}: {detail}")
        return response

    def revoke(self, *, refresh_token: Secret | None, access_token: Secret) -> bool:
        """Revoke a login. If the issuer does not confirm this, log a warning and return False."""
        request = self._transport.build_request(
            "POST",
            _REVOKE_PATH,
            json=_oauth.build_revoke_body(refresh_token=refresh_token, access_token=access_token),
            timeout=_REVOKE_TIMEOUT_SECONDS,
        )
        try:
            response = self._transport.send(request)
        except IssuerConnectionError as error:
            log.warning("The login could not be revoked: %s %s", error, _REVOKE_REMEDY)
            return False
        if not response.is_success:
            log.warning(
                "The login could not be revoked: %s returned status %d. %s",
                self.url,
                response.status_code,
                _REVOKE_REMEDY,
            )
        return response.is_success

    # --- refresh -----------------------------------------------------------------------------------------------------

    def refresh(
        self, refresh_token: Secret, *, reason: RefreshReason
    ) -> _auth_json.TokenResponse | _oauth.RefreshFailure:
        """Refresh a login. Return the new tokens, or a failure instead of raising."""
        request = self._transport.build_request(
            "POST", _TOKEN_PATH, json=_oauth.build_refresh_body(refresh_token, reason=reason)
        )
        try:
            response = self._transport.send(request)
        except IssuerConnectionError as error:
            return _oauth.RefreshFailure("transient", str(error))
        if not response.is_success:  # any 2xx may have new tokens, and the old refresh token is then used up
            return _oauth.classify_refresh_failure(response.status_code, response.content)
        try:
            return _oauth.parse_token_response(response.content)
        except ValueError as error:
            return _oauth.RefreshFailure("transient", f"{self.url} refreshed the login, but {error}. Retry later.")

    # --- device code -------------------------------------------------------------------------------------------------

    def request_device_code(self) -> DeviceCode | _device_code.DeviceCodeFailure:
        """Request a device code. Raises LoginFailedError if the issuer cannot be reached."""
        request = self._transport.build_request(
            "POST", _device_code.USER_CODE_PATH, json=_device_code.build_user_code_body()
        )
        try:
            response = self._transport.send(request)
        except IssuerConnectionError as error:
            raise _auth_errors.LoginFailedError(
                f"The issuer returned no device code: {error}", code="device_code_failed"
            ) from None
        return _device_code.parse_user_code(response.status_code, response.content, issuer=self.url)

    def poll_device_code(
        self, code: DeviceCode
    ) -> _oauth.AuthorizationGrant | Literal["pending"] | _device_code.DeviceCodeFailure:
        """Return the grant if the user has entered the code, or a failure if the login failed.

        Return "pending" while the user has not entered the code, or if the issuer is temporarily unreachable.
        """
        request = self._transport.build_request("POST", _device_code.POLL_PATH, json=_device_code.build_poll_body(code))
        try:
            response = self._transport.send(request)
        except IssuerConnectionError as error:
            if not error.is_transient:
                return _device_code.DeviceCodeFailure("device_code_failed", f"The device login failed: {error}")
            log.info("Polling for the device login again. %s", error)
            return _device_code.PENDING
        return _device_code.parse_poll(response.status_code, response.content, issuer=self.url)

    # --- personal access tokens --------------------------------------------------------------------------------------

    def fetch_login(self, token: Secret, *, location: str, remedy: str) -> Login:
        """Return the login of a personal access token from the issuer's whoami endpoint.

        `location` is the source of the token and `remedy` the fix, for error messages. Raises LoginRequiredError if the
        issuer rejects the token, and TokenRefreshError if a retry may succeed.
        """
        request = self._transport.build_request("GET", _oauth.WHOAMI_PATH, bearer=token)
        result: Login | _oauth.WhoamiFailure
        try:
            response = self._transport.send(request)
        except IssuerConnectionError as error:
            result = _oauth.WhoamiFailure(str(error), is_permanent=False)
        else:
            result = _oauth.parse_whoami(token, response.status_code, response.content)
        if not isinstance(result, _oauth.WhoamiFailure):
            return result
        message = f"The personal access token in {location} cannot be used. {result.message}"
        if result.is_permanent:
            raise _auth_errors.LoginRequiredError(f"{message} {remedy}")
        raise _auth_errors.TokenRefreshError(message)


def _exchange_error(detail: str) -> LoginFailedError:
    # "Token exchange failed" is the Codex CLI's text.
    return _auth_errors.LoginFailedError(
        f"Token exchange failed: {detail.rstrip('.')}. {_auth_errors.LOG_IN_AGAIN_REMEDY}", code="token_exchange_failed"
    )
