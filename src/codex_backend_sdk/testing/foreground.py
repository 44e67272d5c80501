"""Run the simulator in the foreground, for the command line."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING, Any

from .server import Simulator

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .issuer_pages import Approval

__all__ = ["serve"]


def serve(
    port: int = 0,
    *,
    echo: Callable[[str], object],
    host: str = "127.0.0.1",
    approve: Approval = "auto",
    codex_home: str | Path | None = None,
    **options: Any,
) -> int:
    """Serve until Ctrl-C (or a termination signal) and return the exit code.

    `echo` is given the lines to print. With `codex_home` that directory is made ready for the real Codex CLI.
    Further `options` are those of `Simulator`.
    """
    # Another run must not mint the same tokens: a login that is left over from it is none here.
    options.setdefault("seed", time.time_ns())
    simulator = Simulator(host=host, port=port, approve=approve, **options)
    try:
        simulator.start()
    except OSError as error:
        echo(f"Cannot listen on {host}:{port}: {error.strerror or error}. Choose another port with --port.")
        return 1
    try:
        _announce(simulator, echo, codex_home)
        _wait()
    finally:
        simulator.stop()
    echo("Stopped.")
    return 0


def _announce(simulator: Simulator, echo: Callable[[str], object], codex_home: str | Path | None) -> None:
    echo(f"Codex backend   {simulator.base_url}")
    echo(f"OAuth issuer    {simulator.issuer}")
    echo("")
    echo("Point a program at it:")
    for name, value in simulator.environment.items():
        echo(f"  export {name}={value}")
    if codex_home is not None:
        echo(f"  export CODEX_HOME={simulator.write_codex_home(codex_home).resolve()}")
    echo("")
    echo("Press Ctrl-C to stop.")


def _wait() -> None:
    """Return at SIGINT or SIGTERM."""
    done = threading.Event()

    def finish(number: int, frame: object) -> None:
        done.set()

    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("serve() waits for signals and so needs the main thread; use Simulator elsewhere")
    before = {number: signal.signal(number, finish) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        # A bare wait() cannot be interrupted by a signal on Windows.
        while not done.wait(1.0):
            pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
