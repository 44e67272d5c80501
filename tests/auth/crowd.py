"""Processes that share one login.

`python crowd.py '{"store": …, "calls": …}'` runs them and prints the result as JSON. It forks instead of starting
interpreters, so sixteen processes run within a second.
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
    "file": lambda address: FileStore(Path(address) / "auth.json"),
    "keyring": KeyringStore,
    "redis": lambda url: RedisStore(url, lock_lifetime=2),
}


def open_store(kind: str, address: str) -> CredentialStore:
    return STORES[kind](address)


def run_member(options: dict[str, Any], results: Connection) -> None:
    """Run one process: a client, and threads that use it."""
    client = OpenAI(
        credentials=open_store(*options["store"]),
        base_url=options["base_url"],
        issuer=options["issuer"],
        originator=f"member-{os.getpid()}",  # the issuer's record of a refresh names the process
        max_retries=0,
        timeout=60,
    )
    done: list[str] = []
    start = threading.Barrier(options["threads"])

    def work() -> None:
        start.wait()
        for number in range(options["calls"]):
            try:
                if number % 10:
                    client.codex.usage()
                else:
                    assert client.responses.create(input="hello").output_text
                done.append("")
            except Exception as error:
                done.append(f"{type(error).__name__}: {error}")

    threads = [threading.Thread(target=work) for _ in range(options["threads"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results.send(done)


def run_crowd(options: dict[str, Any]) -> dict[str, Any]:
    fork = multiprocessing.get_context("fork")
    members = []
    for _ in range(options["processes"]):
        reader, writer = fork.Pipe(duplex=False)
        process = fork.Process(target=run_member, args=(options, writer))
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
    options = json.loads(sys.argv[1])
    if options.get("document"):  # a keyring can be written only from inside its session
        open_store(*options["store"]).save(options["document"])
    # Import and build once, before the processes are forked.
    OpenAI(credentials=MemoryStore(), base_url=options["base_url"]).close()
    sys.stdout.write(json.dumps(run_crowd(options)))


if __name__ == "__main__":
    main()
