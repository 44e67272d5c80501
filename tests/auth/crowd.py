"""Processes that share one login, as a program: `python crowd.py '{"store": …, "calls": …}'` prints what came of it.

It forks instead of starting interpreters, so that sixteen processes are there within a second.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codex_backend_sdk import OpenAI
from codex_backend_sdk.auth import FileStore, KeyringStore, MemoryStore, RedisStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from codex_backend_sdk.auth import CredentialStore


STORES: dict[str, Callable[[str], CredentialStore]] = {
    "file": lambda place: FileStore(Path(place) / "auth.json"),
    "keyring": KeyringStore,
    "redis": lambda url: RedisStore(url, lock_lifetime=2),
}


def open_store(kind: str, place: str) -> CredentialStore:
    return STORES[kind](place)


def member(given: dict[str, Any], results: Connection) -> None:
    """One process: a client, and threads that call with it."""
    client = OpenAI(
        credentials=open_store(*given["store"]),
        base_url=given["base_url"],
        issuer=given["issuer"],
        originator=f"member-{os.getpid()}",  # the issuer's record of a refresh tells who asked
        max_retries=0,
        timeout=60,
    )
    done: list[str] = []
    start = threading.Barrier(given["threads"])

    def work() -> None:
        start.wait()
        for number in range(given["calls"]):
            try:
                if number % 10:
                    client.codex.usage()
                else:
                    assert client.responses.create(input="hello").output_text
                done.append("")
            except Exception as error:
                done.append(f"{type(error).__name__}: {error}")

    threads = [threading.Thread(target=work) for _ in range(given["threads"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results.send(done)


def crowd(given: dict[str, Any]) -> dict[str, Any]:
    fork = multiprocessing.get_context("fork")
    members = []
    for _ in range(given["processes"]):
        reader, writer = fork.Pipe(duplex=False)
        process = fork.Process(target=member, args=(given, writer))
        process.start()
        writer.close()
        members.append((process, reader))
    outcomes: list[str] = []
    for process, reader in members:
        with suppress(EOFError):  # killed
            outcomes += reader.recv()
        process.join()
    return {
        "calls": len(outcomes),
        "failed": sorted({outcome for outcome in outcomes if outcome}),
        "killed": sum(process.exitcode != 0 for process, _ in members),
    }


def main() -> None:
    given = json.loads(sys.argv[1])
    if given.get("document"):  # the keyring of a session of its own is filled from within
        open_store(*given["store"]).save(given["document"])
    # What is loaded and built once for all clients is there before the processes are.
    OpenAI(credentials=MemoryStore(), base_url=given["base_url"]).close()
    sys.stdout.write(json.dumps(crowd(given)))


if __name__ == "__main__":
    main()
