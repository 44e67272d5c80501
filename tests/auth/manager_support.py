"""Helpers for tests of TokenManager and Credentials: a clock, a store that records its calls, and threads."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from issuer_stub import IssuerStub

from codex_backend_sdk.auth import Credentials, MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
LOGGER = "codex_backend_sdk.auth"


class Clock:
    """A clock that advances when a test changes `now`."""

    def __init__(self, now: datetime = datetime(2026, 11, 22, 12, tzinfo=UTC)) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


class RecordingStore(MemoryStore):
    """A store that records its calls. `errors` holds the exception that a method raises, by the name of the method."""

    def __init__(self, document: dict[str, Any] | None = None) -> None:
        super().__init__(document)
        self.calls: list[str] = []
        self.errors: dict[str, BaseException] = {}

    def _record(self, method: str) -> None:
        self.calls.append(method)
        if method in self.errors:
            raise self.errors[method]

    def load(self) -> dict[str, Any] | None:
        self._record("load")
        return super().load()

    def save(self, document: dict[str, Any]) -> None:
        self._record("save")
        super().save(document)

    def version(self) -> object:
        self._record("version")
        return super().version()

    def lock(self) -> AbstractContextManager[object]:  # not recorded
        if "lock" in self.errors:
            raise self.errors["lock"]
        return super().lock()


def make_credentials(issuer: IssuerStub, document: dict[str, Any] | None) -> tuple[Credentials, RecordingStore]:
    store = RecordingStore(document)
    return Credentials(store, issuer=issuer.url, clock=issuer.clock), store


def refresh_reasons(issuer: IssuerStub) -> list[str]:
    return [request.json["refresh_reason"] for request in issuer.requests_to("/oauth/token")]


def run_in_threads(number: int, call: Callable[[], Any]) -> list[Any]:
    """Run the call in this many threads at once; return the results and the exceptions."""
    results: list[Any] = []
    start = threading.Barrier(number)

    def run() -> None:
        start.wait()
        try:
            results.append(call())
        except Exception as error:
            results.append(error)

    threads = [threading.Thread(target=run) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
