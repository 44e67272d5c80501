"""Run processes that share one login.

`python process_group.py '{"store": …, "calls": …}'` prints the result as JSON. The processes are forked, because new
interpreters would take many seconds to start.
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
    "redis": lambda url: RedisStore(url, lock_lifetime=2, refresh_timeout=5),
}


def open_store(store_type: str, address: str) -> CredentialStore:
    return STORES[store_type](address)


def run_process(options: dict[str, Any], results: Connection) -> None:
    """Call with one client in several threads, and send the outcome of each call: an error or an empty string."""
    client = OpenAI(
        credentials=open_store(*options["store"]),
        base_url=options["base_url"],
        issuer=options["issuer"],
        originator=f"process-{os.getpid()}",  # identifies the process in the requests of the issuer
        max_retries=0,
        timeout=60,
    )
    outcomes: list[str] = []
    start = threading.Barrier(options["threads"])

    def run() -> None:
        start.wait()
        for number in range(options["calls"]):
            try:
                if number % 10:
                    client.codex.usage()
                else:
                    assert client.responses.create(input="hello").output_text
                outcomes.append("")
            except Exception as error:
                outcomes.append(f"{type(error).__name__}: {error}")

    threads = [threading.Thread(target=run) for _ in range(options["threads"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results.send(outcomes)


def run_processes(options: dict[str, Any]) -> dict[str, Any]:
    """Run all processes; return the number of calls, the distinct errors and the number of killed processes."""
    fork = multiprocessing.get_context("fork")
    processes = []
    for _ in range(options["processes"]):
        reader, writer = fork.Pipe(duplex=False)
        process = fork.Process(target=run_process, args=(options, writer))
        process.start()
        writer.close()
        processes.append((process, reader))
    outcomes: list[str] = []
    for process, reader in processes:
        with suppress(EOFError):  # the process was killed
            outcomes += reader.recv()
        process.join()
    return {
        "calls": len(outcomes),
        "failed": sorted({outcome for outcome in outcomes if outcome}),
        "killed": sum(process.exitcode != 0 for process, _ in processes),
    }


def main() -> None:
    options = json.loads(sys.argv[1])
    if options.get("document"):  # a keyring can only be written in its D-Bus session
        open_store(*options["store"]).save(options["document"])
    # Import and construct everything once before the fork.
    OpenAI(credentials=MemoryStore(), base_url=options["base_url"]).close()
    sys.stdout.write(json.dumps(run_processes(options)))


if __name__ == "__main__":
    main()
