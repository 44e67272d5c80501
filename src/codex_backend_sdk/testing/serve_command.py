"""Serve the simulator in the foreground. This is the implementation of `codex-backend simulate`."""

from __future__ import annotations

import shlex
import signal
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .issuer.oauth_issuer import Approval

__all__ = ["serve"]


def serve(
    port: int = 0,
    *,
    echo: Callable[[str], object],
    host: str = "127.0.0.1",
    approval: Approval = "auto",
    codex_home: str | Path | None = None,
    faults: Sequence[str] = (),
    probability: float | None = None,
    **options: Any,
) -> int:
    """Serve until Ctrl-C or SIGTERM and return the exit code: 0, or 1 if the server cannot listen on the address.

    `echo` is called with each line of output. `codex_home` is the directory in which to write a login for this package
    and the real Codex CLI. By default, a temporary directory is used. `faults` and `probability` are passed to
    `Simulator.fail` and apply to every request. Other options are passed to `Simulator`. Call this function in the main
    thread, because it handles signals.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("serve() handles signals and must run in the main thread. Use Simulator in other threads.")
    # Each run has a new seed, so that a login of an earlier run is not valid.
    options.setdefault("seed", time.time_ns())
    simulator = Simulator(host=host, port=port, approval=approval, **options)
    if faults:
        simulator.fail(*faults, times=None, probability=probability)
    with ExitStack() as stack:
        # Install the handlers first: another process may send the signal as soon as it reads the last line of output.
        stopped = stack.enter_context(_stop_signals())
        try:
            stack.enter_context(simulator)
        except OSError as error:
            echo(f"Cannot listen on {host}:{port}: {error.strerror or error}. Choose another port with --port.")
            return 1
        home = codex_home or stack.enter_context(tempfile.TemporaryDirectory(prefix="codex-simulator-"))
        _print_instructions(simulator, echo, simulator.write_codex_home(home).resolve())
        # On Windows, a signal does not interrupt a wait() without a timeout.
        while not stopped.wait(1.0):
            pass
    echo("Stopped.")
    return 0


def _print_instructions(simulator: Simulator, echo: Callable[[str], object], home: Path) -> None:
    echo(f"Codex backend   {simulator.base_url}")
    echo(f"OAuth issuer    {simulator.issuer}")
    echo("")
    echo(
        "To use the simulator, set these variables. CODEX_HOME contains a simulated login; your own login is not used:"
    )
    for name, value in {**simulator.environment, "CODEX_HOME": home}.items():
        echo(f"  export {name}={shlex.quote(str(value))}")
    echo("")
    echo("Press Ctrl-C to stop.")


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """Yield an event that is set on SIGINT or SIGTERM. Restore the previous handlers on exit."""
    stopped = threading.Event()
    signals = (signal.SIGINT, signal.SIGTERM)
    previous_handlers = {number: signal.signal(number, lambda *_: stopped.set()) for number in signals}
    try:
        yield stopped
    finally:
        for number, handler in previous_handlers.items():
            signal.signal(number, handler)
