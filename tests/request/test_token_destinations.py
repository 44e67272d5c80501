"""Test that tokens are sent only to the configured backend and issuer, over verified TLS and the configured proxy."""

from __future__ import annotations

import os
import re
import sys
import traceback
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx2
import openai
import pytest
from support.calls import requested_paths
from support.tunnels import serve_proxy, serve_tls

import codex_backend_sdk as sdk
from codex_backend_sdk._upstream import AsyncHttpxClientWrapper, SyncHttpxClientWrapper
from codex_backend_sdk.auth import Credentials, MemoryStore
from codex_backend_sdk.testing import Simulator, Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


trustme = pytest.importorskip("trustme")

PROXIES = [name for scheme in ("HTTP", "HTTPS", "ALL", "NO") for name in (f"{scheme}_PROXY", f"{scheme.lower()}_proxy")]


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [*PROXIES, "SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE", "CODEX_CA_CERTIFICATE", "NETRC"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture(scope="module")
def authority() -> Any:
    return trustme.CA()


@pytest.fixture
def pem(authority: Any, tmp_path: Path) -> str:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return str(tmp_path / "ca.pem")


@pytest.fixture
def tls_url(authority: Any, sim: Simulator) -> Iterator[str]:
    with serve_tls(authority.issue_cert("localhost"), urlsplit(sim.url).port or 0) as url:
        yield url


def expired_credentials(sim: Simulator, issuer: str) -> Credentials:
    return Credentials(MemoryStore(sim.login_document(expires_in=timedelta(seconds=-1))), issuer=issuer)


def call(new_client: Callable[..., Any], sim: Simulator, url: str) -> Any:
    """Refresh the login at the issuer and call the backend, both at `url`."""
    client = new_client(base_url=f"{url}/backend-api/codex", credentials=expired_credentials(sim, url))
    return client.responses.create(input="hi")


def test_unknown_certificate_is_rejected(new_client: Callable[..., Any], sim: Simulator, tls_url: str) -> None:
    with pytest.raises(sdk.TokenRefreshError, match="CERTIFICATE_VERIFY_FAILED"):
        call(new_client, sim, tls_url)
    message = r"certificate verification failed for https://localhost.*`CODEX_CA_CERTIFICATE`"
    with pytest.raises(openai.APIConnectionError, match=message) as caught:
        new_client(base_url=f"{tls_url}/backend-api/codex").responses.create(input="hi")
    assert "CERTIFICATE_VERIFY_FAILED" in str(caught.value.__cause__)
    assert sim.requests == []


def test_server_without_tls_is_reported(new_client: Callable[..., Any], sim: Simulator) -> None:
    url = sim.url.replace("http://", "https://")
    with pytest.raises(openai.APIConnectionError, match=r"the TLS handshake with .* failed"):
        new_client(base_url=f"{url}/backend-api/codex").responses.create(input="hi")


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "CODEX_CA_CERTIFICATE"])
def test_certificate_variables_apply(
    new_client: Callable[..., Any],
    sim: Simulator,
    tls_url: str,
    pem: str,
    variable: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(variable, pem)
    assert call(new_client, sim, tls_url).status == "completed"
    assert requested_paths(sim) == ["token", "responses"]


# Environment variable, invalid value, and the expected part of the error message.
SOCKS = r"{} is a SOCKS proxy, which needs another package. Run pip install 'httpx2\[socks\]', or unset {}"
INVALID_PROXY = "{} is an invalid proxy. Set a URL such as http://host:port, or unset {}"
INVALID_SETTINGS = [
    ("SSL_CERT_FILE", "missing.pem", "{} is not a readable PEM file: .*missing.pem. Correct or unset the variable"),
    ("SSL_CERT_FILE", "wrong.pem", "{} is not a readable PEM file: .*wrong.pem. "),
    ("CODEX_CA_CERTIFICATE", "missing.pem", "{} is not a readable PEM file: .*missing.pem. "),
    ("CODEX_CA_CERTIFICATE", "wrong.pem", "{} is not a readable PEM file: .*wrong.pem. "),
    ("ALL_PROXY", "socks5://127.0.0.1:9", SOCKS),
    ("https_proxy", "SOCKS5h://me:secret@127.0.0.1:9", SOCKS),
    ("HTTPS_PROXY", "ftp://me:secret@proxy.example", INVALID_PROXY),
    ("ALL_PROXY", "http://me:secret@proxy.example:port", INVALID_PROXY),
]


@pytest.fixture(params=INVALID_SETTINGS, ids=[f"{name}={value}" for name, value, _ in INVALID_SETTINGS])
def invalid_setting_message(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Set a variable to an invalid value and return the expected message."""
    name, value, message = request.param
    if "SOCKS" in message:
        monkeypatch.setitem(sys.modules, "socksio", None)
    (tmp_path / "wrong.pem").write_text("not a certificate")
    monkeypatch.setenv(name, str(tmp_path / value) if value.endswith(".pem") else value)
    return str(message.format(name, name))


def test_invalid_network_setting_is_named(new_client: Callable[..., Any], invalid_setting_message: str) -> None:
    with pytest.raises(ValueError, match=invalid_setting_message) as caught:
        new_client()
    assert "secret" not in "".join(traceback.format_exception(caught.value))


# Environment variables, and the expected part of the error message; `{}` is an existing folder with a certificate.
COMBINED_SETTINGS = [
    ({"SSL_CERT_FILE": "{}/ca.pem", "SSLKEYLOGFILE": "{}/missing/keys"}, "SSLKEYLOGFILE is not a writable file"),
    ({"SSL_CERT_FILE": "{}/ca.pem", "SSLKEYLOGFILE": "{}"}, "SSLKEYLOGFILE is not a writable file"),
    ({"SSL_CERT_DIR": "{}", "SSLKEYLOGFILE": "{}/missing/keys"}, "SSLKEYLOGFILE is not a writable file"),
    ({"SSL_CERT_FILE": "{}/missing.pem", "SSLKEYLOGFILE": "{}/keys"}, "SSL_CERT_FILE is not a readable PEM file"),
    ({"SSL_CERT_FILE": "{}", "SSL_CERT_DIR": "{}"}, "SSL_CERT_FILE is not a readable PEM file"),
    ({"SSL_CERT_DIR": "{}/missing"}, "SSL_CERT_DIR is not a readable folder"),
    ({"SSL_CERT_DIR": "{}/ca.pem"}, "SSL_CERT_DIR is not a readable folder"),
    ({"SSL_CERT_DIR": os.pathsep.join(["{}/missing", "{}/ca.pem"])}, "SSL_CERT_DIR is not a readable folder"),
    ({"SSL_CERT_FILE": "{}/ca.pem", "SSL_CERT_DIR": "{}/missing", "SSLKEYLOGFILE": "{}/keys"}, None),
    ({"SSL_CERT_DIR": os.pathsep.join(["{}/missing", "{}"])}, None),
]


@pytest.mark.parametrize(("variables", "message"), COMBINED_SETTINGS, ids=str)
def test_invalid_one_of_several_variables_is_named(
    new_client: Callable[..., Any],
    pem: str,
    variables: dict[str, str],
    message: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "ca.pem").write_bytes(Path(pem).read_bytes())
    for name, value in variables.items():
        monkeypatch.setenv(name, value.replace("{}", str(tmp_path)))
    if message is None:
        new_client()
    else:
        with pytest.raises(ValueError, match=message):
            new_client()


def test_login_validates_the_network_first(sim: Simulator, invalid_setting_message: str) -> None:
    shown: list[object] = []
    credentials = Credentials(MemoryStore(), issuer=sim.issuer)
    with pytest.raises(sdk.LoginFailedError, match=f"{sim.issuer} cannot be reached: {invalid_setting_message}"):
        credentials.authenticate(open_browser=shown.append, on_url=shown.append, ports=(0,), timeout=20)
    with pytest.raises(sdk.LoginFailedError, match=invalid_setting_message):
        credentials.authenticate_device_code(on_code=shown.append)
    assert shown == []


def test_invalid_network_setting_preserves_the_login(
    sim: Simulator, invalid_setting_message: str, caplog: pytest.LogCaptureFixture
) -> None:
    valid_store = MemoryStore(sim.login_document(expires_in=timedelta(minutes=2)))
    assert Credentials(valid_store, issuer=sim.issuer).current().email == "user@example.com"
    assert re.search(f"could not be refreshed; its old token is still used. .*{invalid_setting_message}", caplog.text)
    with pytest.raises(sdk.TokenRefreshError, match=invalid_setting_message):
        expired_credentials(sim, sim.issuer).current()
    with pytest.raises(sdk.TokenRefreshError, match=invalid_setting_message):
        sdk.StaticToken(sim.personal_access_token(), issuer=sim.issuer).current()


@pytest.mark.parametrize("no_proxy", ["", "example.com", "localhost"])
def test_proxy_of_the_environment_is_used(
    new_client: Callable[..., Any],
    sim: Simulator,
    tls_url: str,
    pem: str,
    no_proxy: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CODEX_CA_CERTIFICATE", pem)
    monkeypatch.setenv("NO_PROXY", no_proxy)
    request_lines: list[str] = []
    with serve_proxy(request_lines) as url:
        monkeypatch.setenv("HTTPS_PROXY", url)
        assert call(new_client, sim, tls_url).status == "completed"
    tunnel = f"CONNECT {urlsplit(tls_url).netloc} HTTP/1.1"
    assert request_lines == ([] if no_proxy == "localhost" else [tunnel] * 2)
    assert requested_paths(sim) == ["token", "responses"]


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
def test_plain_http_bypasses_the_proxy(
    new_client: Callable[..., Any], sim: Simulator, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_lines: list[str] = []
    with serve_proxy(request_lines) as url:
        monkeypatch.setenv(variable.lower(), url)
        assert call(new_client, sim, sim.url).status == "completed"
    assert request_lines == []


@pytest.mark.parametrize("variable", ["HOME", "NETRC"])
def test_netrc_is_ignored(
    new_client: Callable[..., Any], sim: Simulator, variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / (".netrc" if variable == "HOME" else "other")
    file.write_text("machine 127.0.0.1 login me password mine\ndefault login me password mine\n")
    file.chmod(0o600)
    monkeypatch.setenv(variable, str(tmp_path if variable == "HOME" else file))
    assert call(new_client, sim, sim.url).status == "completed"
    token, response = sim.requests
    assert "authorization" not in token.headers
    assert response.headers["authorization"].startswith("Bearer ey")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("has_caller_client", [False, True], ids=["default client", "caller client"])
def test_backend_redirect_is_not_followed(
    new_client: Callable[..., Any], sim: Simulator, status: int, has_caller_client: bool
) -> None:
    options: dict[str, Any] = {}
    client = new_client()
    if has_caller_client:
        client_class = SyncHttpxClientWrapper if isinstance(client, sdk.OpenAI) else AsyncHttpxClientWrapper
        options["http_client"] = client_class(follow_redirects=True)
    with Simulator() as other:
        sim.script(Turn.raw(status, {"location": f"{other.base_url}/responses"}))
        with pytest.raises(openai.APIStatusError) as caught:
            new_client(**options).responses.create(input="hi")
        assert caught.value.status_code == status
        assert other.requests == []
    assert requested_paths(sim) == ["responses"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("has_caller_client", [False, True], ids=["default client", "caller client"])
def test_issuer_redirect_is_not_followed(status: int, has_caller_client: bool) -> None:
    def respond(request: httpx2.Request) -> httpx2.Response:
        requested.append(str(request.url))
        return httpx2.Response(status, headers={"location": "https://elsewhere.example.com/oauth/token"})

    requested: list[str] = []
    with (
        Simulator() as sim,
        httpx2.Client(transport=httpx2.MockTransport(respond), follow_redirects=has_caller_client) as http,
    ):
        store = MemoryStore(sim.login_document(expires_in=timedelta(seconds=-1)))
        credentials = Credentials(store, issuer="https://auth.example.com", http=http)
        with pytest.raises(sdk.TokenRefreshError, match="redirects to another URL, which the client does not follow"):
            credentials.current()
        with pytest.raises(sdk.LoginFailedError, match="redirects to another URL, which the client does not follow"):
            credentials.authenticate_device_code(force=True)
        credentials.revoke()
    assert [urlsplit(url).netloc for url in requested] == ["auth.example.com"] * 3
