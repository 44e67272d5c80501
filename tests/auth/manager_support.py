"""Helpers for the tests of TokenManager and Credentials: a clock, a store that records its calls, threads."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from issuer_stub import IssuerStub

from codex_backend_sdk.auth import (
    Credentials,
    MemoryStore,
)

if TYPE_CHECKING:
    from collections.abc import Callable

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
LOGGER = "codex_backend_sdk.auth"


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class CountingStore(MemoryStore):
    """Records the calls; `save()` raises `save_error` if it is set."""

    def __init__(self, document: dict[str, Any] | None = None) -> None:
        super().__init__(document)
        self.calls: list[str] = []
        self.save_error: Exception | None = None

    def load(self) -> dict[str, Any] | None:
        self.calls.append("load")
        return super().load()

    def save(self, document: dict[str, Any]) -> None:
        self.calls.append("save")
        if self.save_error:
            raise self.save_error
        super().save(document)

    def version(self) -> object:
        self.calls.append("version")
        return super().version()


def make_credentials(issuer: IssuerStub, document: dict[str, Any] | None) -> tuple[Credentials, CountingStore]:
    store = CountingStore(document)
    return Credentials(store, issuer=issuer.url, clock=issuer.clock), store


def refresh_reasons(issuer: IssuerStub) -> list[str]:
    return [request.json["refresh_reason"] for request in issuer.requests_to("/oauth/token")]


def in_threads(number: int, call: Callable[[], Any]) -> list[Any]:
    results: list[Any] = []
    start = threading.Barrier(number)

    def work() -> None:
        start.wait()
        try:
            results.append(call())
        except Exception as error:
            results.append(error)

    threads = [threading.Thread(target=work) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
