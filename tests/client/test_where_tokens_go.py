"""Tokens go to the configured backend and issuer alone: over TLS that is checked, through the proxy that is wanted."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx2
import openai
import pytest
from client.tunnels import proxy, tls

import codex_backend_sdk as sdk
from codex_backend_sdk._seam import AsyncHttpxClientWrapper, SyncHttpxClientWrapper
from codex_backend_sdk.auth import Credentials, MemoryStore
from codex_backend_sdk.testing import Simulator, Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

trustme = pytest.importorskip("trustme")

PROXIES = [name for kind in ("HTTP", "HTTPS", "ALL", "NO") for name in (f"{kind}_PROXY", f"{kind.lower()}_proxy")]


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [*PROXIES, "SSL_CERT_FILE", "SSL_CERT_DIR", "CODEX_CA_CERTIFICATE", "NETRC"]:
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
def secure(authority: Any, sim: Simulator) -> Iterator[str]:
    with tls(authority.issue_cert("localhost"), urlsplit(sim.url).port or 0) as url:
        yield url


def expired(sim: Simulator, issuer: str) -> Credentials:
    return Credentials(MemoryStore(sim.login_document(expires_in=timedelta(seconds=-1))), issuer=issuer)


def call(new_client: Callable[..., Any], sim: Simulator, url: str) -> Any:
    """Renew at the issuer and ask the backend, both at `url`."""
    client = new_client(base_url=f"{url}/backend-api/codex", credentials=expired(sim, url))
    return client.responses.create(input="hi")


def paths(sim: Simulator) -> list[str]:
    return [request.path.rpartition("/")[2] for request in sim.requests]


def test_a_certificate_of_nobody_known_is_refused_by_both(
    new_client: Callable[..., Any], sim: Simulator, secure: str
) -> None:
    with pytest.raises(sdk.TokenRefreshError, match="CERTIFICATE_VERIFY_FAILED"):
        call(new_client, sim, secure)
    with pytest.raises(openai.APIConnectionError) as caught:
        new_client(base_url=f"{secure}/backend-api/codex").responses.create(input="hi")
    assert "CERTIFICATE_VERIFY_FAILED" in str(caught.value.__cause__)
    assert sim.requests == []


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "CODEX_CA_CERTIFICATE"])
def test_the_variables_for_certificates_count_for_both(
    new_client: Callable[..., Any],
    sim: Simulator,
    secure: str,
    pem: str,
    variable: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(variable, pem)
    assert call(new_client, sim, secure).status == "completed"
    assert paths(sim) == ["token", "responses"]


def test_a_certificate_file_that_is_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wrong.pem").write_text("not a certificate")
    for file in (tmp_path / "wrong.pem", tmp_path / "missing.pem"):
        monkeypatch.setenv("CODEX_CA_CERTIFICATE", str(file))
        with pytest.raises(ValueError, match=f"CODEX_CA_CERTIFICATE names no readable PEM file: {file}"):
            sdk.OpenAI(credentials=MemoryStore())


@pytest.mark.parametrize("no_proxy", ["", "example.com", "localhost"])
def test_the_proxy_of_the_environment_tunnels_for_both(
    new_client: Callable[..., Any],
    sim: Simulator,
    secure: str,
    pem: str,
    no_proxy: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CODEX_CA_CERTIFICATE", pem)
    monkeypatch.setenv("NO_PROXY", no_proxy)
    heads: list[str] = []
    with proxy(heads) as url:
        monkeypatch.setenv("HTTPS_PROXY", url)
        assert call(new_client, sim, secure).status == "completed"
    tunnel = f"CONNECT {urlsplit(secure).netloc} HTTP/1.1"
    assert heads == ([] if no_proxy == "localhost" else [tunnel] * 2)
    assert paths(sim) == ["token", "responses"]


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
def test_plain_http_never_leaves_this_machine_through_a_proxy(
    new_client: Callable[..., Any], sim: Simulator, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads: list[str] = []
    with proxy(heads) as url:
        monkeypatch.setenv(variable.lower(), url)
        assert call(new_client, sim, sim.url).status == "completed"
    assert heads == []


@pytest.mark.parametrize("where", ["HOME", "NETRC"])
def test_netrc_replaces_nothing(
    new_client: Callable[..., Any], sim: Simulator, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / (".netrc" if where == "HOME" else "other")
    file.write_text("machine 127.0.0.1 login me password mine\ndefault login me password mine\n")
    file.chmod(0o600)
    monkeypatch.setenv(where, str(tmp_path if where == "HOME" else file))
    assert call(new_client, sim, sim.url).status == "completed"
    token, response = sim.requests
    assert "authorization" not in token.headers
    assert response.headers["authorization"].startswith("Bearer ey")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("own", [False, True], ids=["our http client", "the caller's"])
def test_the_backend_redirects_nobody(new_client: Callable[..., Any], sim: Simulator, status: int, own: bool) -> None:
    options: dict[str, Any] = {}
    client = new_client()
    if own:
        kind = SyncHttpxClientWrapper if isinstance(client, sdk.OpenAI) else AsyncHttpxClientWrapper
        options["http_client"] = kind(follow_redirects=True)
    with Simulator() as other:
        sim.script(Turn.raw(status, {"location": f"{other.base_url}/responses"}))
        with pytest.raises(openai.APIStatusError) as caught:
            new_client(**options).responses.create(input="hi")
        assert caught.value.status_code == status
        assert other.requests == []
    assert paths(sim) == ["responses"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("own", [False, True], ids=["our http client", "the caller's"])
def test_nor_does_the_issuer(status: int, own: bool) -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(str(request.url))
        return httpx2.Response(status, headers={"location": "https://elsewhere.example.com/oauth/token"})

    asked: list[str] = []
    with Simulator() as sim, httpx2.Client(transport=httpx2.MockTransport(answer), follow_redirects=own) as http:
        store = MemoryStore(sim.login_document(expires_in=timedelta(seconds=-1)))
        credentials = Credentials(store, issuer="https://auth.example.com", http=http)
        with pytest.raises(sdk.TokenRefreshError, match="redirects elsewhere, which is not followed"):
            credentials.current()
        with pytest.raises(sdk.LoginFailed, match="redirects elsewhere, which is not followed"):
            credentials.authenticate_device_code(force=True)
        credentials.revoke()
    assert [urlsplit(url).netloc for url in asked] == ["auth.example.com"] * 3
