"""What signing adds to a request: `python bench/signing.py` prints medians, and asserts nothing.

Both clients send the same request through the same transport, which answers at once and in memory; one of them leaves
the request without a login. The store is a file that does not change; what the process opens is counted.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx2
import openai
from credentials import document

from codex_backend_sdk import OpenAI
from codex_backend_sdk.auth import Credentials, FileStore

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 5_000
ADDRESS = "http://127.0.0.1:9/backend-api/codex"


class Unsigned(OpenAI):
    """Sends what it is asked to send, without the login."""

    def _prepare_options(self, options: Any) -> Any:
        return openai.OpenAI._prepare_options(self, options)

    @cached_property
    def _signer(self) -> Any:
        return SimpleNamespace(sign=lambda request, login: request)


def answer(request: httpx2.Request) -> httpx2.Response:
    return httpx2.Response(200, json={"plan_type": "plus", "signed": "authorization" in request.headers})


def client(kind: type[OpenAI], credentials: Credentials) -> OpenAI:
    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    return kind(credentials=credentials, base_url=ADDRESS, http_client=http)


def nanoseconds(action: Callable[[], object]) -> int:
    began = time.perf_counter_ns()
    action()
    return time.perf_counter_ns() - began


def both(signed: OpenAI, unsigned: OpenAI, *, is_turned: bool) -> tuple[int, int]:
    """Time one request each; who comes first changes, since the second finds warmer caches."""
    if is_turned:
        without = nanoseconds(unsigned.codex.usage)
        return nanoseconds(signed.codex.usage), without
    return nanoseconds(signed.codex.usage), nanoseconds(unsigned.codex.usage)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = FileStore(Path(folder) / "auth.json")
        store.save(document())
        credentials = Credentials(store)
        signed, unsigned = client(OpenAI, credentials), client(Unsigned, credentials)
        assert (signed.codex.usage()["signed"], unsigned.codex.usage()["signed"]) == (True, False)
        for _ in range(ROUNDS // 10):
            signed.codex.usage()
            unsigned.codex.usage()
        opened: list[str] = []
        sys.addaudithook(lambda event, arguments: opened.append(str(arguments[0])) if event == "open" else None)
        pairs = [both(signed, unsigned, is_turned=bool(number % 2)) for number in range(ROUNDS)]
        files_opened = len(opened)
        ready = statistics.median(nanoseconds(credentials.ready) for _ in range(ROUNDS))
    with_login, without = (statistics.median(times) / 1000 for times in zip(*pairs, strict=True))
    added = statistics.median(one - other for one, other in pairs) / 1000
    report = {
        "signed_us": round(with_login, 1),
        "unsigned_us": round(without, 1),
        "ratio": round(with_login / without, 3),
        "added_us": round(added, 1),
        "of_that_looking_up_the_login_us": round(ready / 1000, 2),
        "files_opened": files_opened,
        "rounds": ROUNDS,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
