"""Test the checks of `codex-backend doctor` that need no backend."""

from __future__ import annotations

import os
import re
import socket
from datetime import UTC, datetime, timedelta
from importlib.metadata import requires
from pathlib import Path
from typing import TYPE_CHECKING

import openai
import pytest

from codex_backend_sdk._constants import BACKEND_URL, ISSUER_URL
from codex_backend_sdk.cli.doctor import checks
from codex_backend_sdk.cli.doctor.check_context import CheckContext
from codex_backend_sdk.cli.doctor.report import CheckResult, ok

if TYPE_CHECKING:
    from collections.abc import Iterator


def context(**environment: str) -> CheckContext:
    return CheckContext(environment=environment or os.environ, clock=lambda: datetime.now(UTC), timeout_seconds=5)


def test_single_url_variable_is_a_warning() -> None:
    results = checks.check_variables(context(CODEX_BASE_URL="https://me:hush@[broken"))
    assert [result.message for result in results] == [
        "CODEX_BASE_URL is set: requests with tokens are sent to https://…@[broken.",
        "Only one of CODEX_BASE_URL and CODEX_ISSUER_URL is set.",
    ]
    simulator = {"CODEX_BASE_URL": "http://127.0.0.1:1/x", "CODEX_ISSUER_URL": "http://[::1]:1"}
    assert [result.level for result in checks.check_variables(context(**simulator))] == ["note", "note"]
    proxy = {"CODEX_BASE_URL": "https://proxy.example/x", "CODEX_ISSUER_URL": "http://127.0.0.1:1"}
    assert [result.level for result in checks.check_variables(context(**proxy))] == ["warning", "note"]
    defaults = {"CODEX_BASE_URL": BACKEND_URL, "CODEX_ISSUER_URL": ISSUER_URL}
    assert [result.level for result in checks.check_variables(context(**defaults))] == ["ok"]


def test_ignored_variables_are_reported() -> None:
    results = checks.check_variables(context(OPENAI_API_KEY="sk-hush", REQUESTS_CA_BUNDLE="/ca.pem"))
    assert [(result.level, result.message) for result in results] == [
        ("note", "OPENAI_API_KEY is set and ignored. This package uses the ChatGPT login."),
        ("note", "REQUESTS_CA_BUNDLE is set and ignored. This package uses CODEX_CA_CERTIFICATE."),
    ]


def test_every_variable_of_openai_is_decided() -> None:
    folder = Path(openai.__file__).parent
    sources = [path.read_text(encoding="utf-8") for path in folder.glob("*.py")]
    sources += [path.read_text(encoding="utf-8") for path in (folder / "lib").glob("*client_auth.py")]
    read = set(re.findall(r"""environ\.get\(['"](OPENAI_\w+)['"]\)""", "".join(sources)))
    # The first two are not about requests; the others apply to `openai.chat` and the like, not to a client.
    used = {"OPENAI_LOG", "OPENAI_WEBHOOK_SECRET", "OPENAI_API_TYPE", "OPENAI_API_VERSION"}
    assert {"OPENAI_API_KEY"} <= read <= checks._IGNORED_VARIABLES.keys() | used
    (result,) = checks.check_variables(context(OPENAI_CUSTOM_HEADERS="x-key: hush"))
    assert result.message == "OPENAI_CUSTOM_HEADERS is set and ignored. This package uses `default_headers=`."


@pytest.mark.parametrize(
    ("version", "is_supported"), [("3.15.0", True), ("3.54.0", True), ("3.14.9", False), ("4.0.0b1", False)]
)
def test_unsupported_openai_version_is_reported(version: str, is_supported: bool) -> None:
    assert (list(checks.check_openai_version(version)) == []) is is_supported


def test_openai_versions_match_the_metadata() -> None:
    (requirement,) = (line for line in requires("codex-backend-sdk") or () if re.match(r"openai\b(?!\[)", line))
    lowest, below = checks.OPENAI_VERSIONS
    assert set(requirement.removeprefix("openai").split(",")) == {f">={lowest[0]}.{lowest[1]}", f"<{below[0]}"}


@pytest.mark.parametrize(
    ("offset_seconds", "level"),
    [(0, "ok"), (-60, "ok"), (61, "warning"), (-3600, "warning"), (3601, "error"), (-86400, "error")],
)
def test_clock_offset_sets_the_level(offset_seconds: int, level: str) -> None:
    assert checks.check_clock(timedelta(seconds=offset_seconds)).level == level


def test_one_free_port_is_enough() -> None:
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        ports = [server.getsockname()[1] for server in (first, second)]
        result = checks.check_callback_ports(ports)
        assert result.level == "warning"
        assert f"ports {ports[0]} and {ports[1]} are in use" in result.message
        second.close()
        result = checks.check_callback_ports(ports)
        assert (result.level, result.message) == ("ok", f"The callback port {ports[1]} is free.")


def test_network_reports_the_proxy_of_each_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "proxy.example:8080")
    monkeypatch.setenv("no_proxy", "backend.example")
    servers = {"CODEX_BASE_URL": "https://backend.example/codex", "CODEX_ISSUER_URL": "https://issuer.example"}
    first, second, _ = checks.check_network(context(**servers))
    assert first.message == "backend.example is reached directly, because NO_PROXY contains it."
    assert second.message == "issuer.example is reached through the proxy http://proxy.example:8080."


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize(
    "address",
    [
        "http://user:hush/hush@127.0.0.1:1",
        "http://user:hush#hush@127.0.0.1:1",
        "http://user:hush?hush@127.0.0.1:1",
        "//user:hush@127.0.0.1:1",
        "http://user:hush@",
        "http://user:hush@proxy:99999",
        "http://user:hush@a proxy",
        "ftp://user:hush@proxy",
        "http://user:hush@[::1",
    ],
)
def test_invalid_proxy_is_an_error_without_its_password(
    monkeypatch: pytest.MonkeyPatch, variable: str, address: str
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, address)
    servers = context(CODEX_BASE_URL="https://backend.example/codex", CODEX_ISSUER_URL="https://issuer.example")
    results = list(checks.run_check(checks.check_network, servers))
    assert [result.level for result in results] == ["error"]
    assert f"{variable} is an invalid proxy" in results[0].message
    assert "hush" not in str(results)
    monkeypatch.setenv("no_proxy", "*")
    if "proxy:99999" in address:
        assert "error" not in [result.level for result in checks.check_network(servers)], "no proxy is used"


@pytest.mark.parametrize("address", ["http://user:hush@proxy.example:8080", "user:hush@proxy.example:8080"])
def test_valid_proxy_is_shown_without_its_password(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("https_proxy", address)
    servers = context(CODEX_BASE_URL="https://backend.example/codex", CODEX_ISSUER_URL="https://issuer.example")
    results = list(checks.run_check(checks.check_network, servers))
    assert results[0].message == "backend.example is reached through the proxy http://…@proxy.example:8080."
    assert "hush" not in str(results)


@pytest.mark.parametrize("url", ["https://me:hush@[x", "https://me:hush@\u2100.example", "https://me:hush/@x"])
def test_invalid_url_is_reported_without_its_password(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    servers = context(CODEX_BASE_URL=url, CODEX_ISSUER_URL=url)
    for check in (checks.check_variables, checks.check_network, checks.check_issuer, checks.check_backend):
        results = list(checks.run_check(check, servers))
        assert results
        assert "hush" not in str(results)


@pytest.mark.parametrize(
    ("error", "what"),
    [(ValueError("Do\nthis."), "Do this."), (KeyError("hush"), "This check failed with KeyError.")],
)
def test_exception_in_a_check_is_its_last_result(error: Exception, what: str) -> None:
    def check(context: CheckContext) -> Iterator[CheckResult]:
        yield ok("So far.")
        raise error

    results = list(checks.run_check(check, context()))
    assert [(result.level, result.message) for result in results] == [("ok", "So far."), ("error", what)]
