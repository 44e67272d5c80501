"""The checks of `codex-backend doctor` one by one, where no backend is needed."""

from __future__ import annotations

import os
import re
import socket
import sys
import threading
from datetime import UTC, datetime, timedelta
from importlib.metadata import requires
from typing import TYPE_CHECKING

import pytest

from codex_backend_sdk._constants import BACKEND_URL, ISSUER_URL
from codex_backend_sdk.cli.doctor.backend_checks import judge_clock
from codex_backend_sdk.cli.doctor.network_checks import check_proxy
from codex_backend_sdk.cli.doctor.result import Outcome, Scene, ok
from codex_backend_sdk.cli.doctor.runner import run_checks
from codex_backend_sdk.cli.doctor.sign_in_checks import judge_ports
from codex_backend_sdk.cli.doctor.variable_checks import check_variables
from codex_backend_sdk.cli.doctor.version_checks import OPENAI_VERSIONS, judge_openai

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def scene(**environment: str) -> Scene:
    return Scene(environment=environment or os.environ, clock=lambda: datetime.now(UTC), seconds=5)


def test_half_of_another_pair_of_servers() -> None:
    found = [str(outcome.what) for outcome in check_variables(scene(CODEX_BASE_URL="https://me:hush@[broken"))]
    assert found == [
        "CODEX_BASE_URL is set: requests and the login's token go to ….",
        "CODEX_BASE_URL is set and CODEX_ISSUER_URL is not.",
    ]
    usual = {"CODEX_BASE_URL": BACKEND_URL, "CODEX_ISSUER_URL": ISSUER_URL}
    assert [outcome.level for outcome in check_variables(scene(**usual))] == ["ok"]


@pytest.mark.parametrize(
    ("version", "is_fine"), [("3.15.0", True), ("3.54.0", True), ("3.14.9", False), ("4.0.0b1", False)]
)
def test_an_official_client_that_this_package_was_not_made_for(version: str, is_fine: bool) -> None:
    assert (list(judge_openai(version)) == []) is is_fine
    (wanted,) = (each for each in requires("codex-backend-sdk") or () if re.match(r"openai\b(?!\[)", each))
    lowest, below = OPENAI_VERSIONS
    assert set(wanted.removeprefix("openai").split(",")) == {f">={lowest[0]}.{lowest[1]}", f"<{below[0]}"}


@pytest.mark.parametrize(
    ("ahead", "level"),
    [(0, "ok"), (-60, "ok"), (61, "warning"), (-3600, "warning"), (3601, "broken"), (-86400, "broken")],
)
def test_a_clock_that_is_nearly_right(ahead: int, level: str) -> None:
    assert judge_clock(timedelta(seconds=ahead)).level == level


def test_ports_that_are_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        taken = [each.getsockname()[1] for each in (one, two)]
        (found,) = judge_ports(taken)
        assert found.level == "warning"
        assert str(taken[0]) in found.what
        assert f"process {os.getpid()}" in found.what or sys.platform != "linux"
        two.close()
        (found,) = judge_ports(taken)
        assert (found.level, found.what.split()[0]) == ("ok", str(taken[1]))


def test_one_check_takes_nothing_from_the_others() -> None:
    def hanging(scene: Scene) -> Iterator[Outcome]:
        yield ok("So far.")
        released.wait(30)

    def raising(error: Exception) -> Callable[[Scene], Iterator[Outcome]]:
        def check(scene: Scene) -> Iterator[Outcome]:
            yield ok("So far.")
            raise error

        return check

    released = threading.Event()
    checks = {"a": hanging, "b": raising(ValueError("Do\nthis.")), "c": raising(KeyError("hush")), "d": judged}
    found = dict(run_checks(checks, scene(), limit=0.5))
    released.set()
    assert [[each.what for each in found[name]] for name in "abcd"] == [
        ["So far.", "No answer within 0.5 s."],
        ["So far.", "Do this."],
        ["So far.", "This could not be checked: KeyError."],
        ["Fine."],
    ]


def judged(scene: Scene) -> Iterator[Outcome]:
    yield ok("Fine.")


def test_a_server_that_the_proxy_is_not_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "proxy.example:8080")
    monkeypatch.setenv("no_proxy", "backend.example")
    servers = {"CODEX_BASE_URL": "https://backend.example/codex", "CODEX_ISSUER_URL": "https://issuer.example"}
    assert [outcome.what for outcome in check_proxy(scene(**servers))] == [
        "backend.example is reached without a proxy, as NO_PROXY says.",
        "issuer.example is reached through the proxy http://proxy.example:8080.",
    ]
