"""Run the simulator in the foreground, for the command line."""

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

    from .issuer.issuer_pages import Approval

__all__ = ["serve"]


def serve(
    port: int = 0,
    *,
    echo: Callable[[str], object],
    host: str = "127.0.0.1",
    approve: Approval = "auto",
    codex_home: str | Path | None = None,
    faults: Sequence[str] = (),
    probability: float | None = None,
    **options: Any,
) -> int:
    """Serve until Ctrl-C (or a termination signal) and return the exit code.

    `echo` is given the lines to print. `codex_home` is made a folder in which this package and the real Codex CLI are
    signed in to the simulator; without it a temporary one is, which goes when the simulator does. `faults` and
    `probability` are those of `Simulator.fail`, for every request. Further `options` are those of `Simulator`.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("serve() waits for signals and so needs the main thread; use Simulator elsewhere")
    # Another run must not mint the same tokens: a login that is left over from it is none here.
    options.setdefault("seed", time.time_ns())
    simulator = Simulator(host=host, port=port, approve=approve, **options)
    if faults:
        simulator.fail(*faults, times=None, probability=probability)
    with ExitStack() as stack:
        # Whoever reads that it can be stopped may do so at once.
        stopped = stack.enter_context(_signals())
        try:
            stack.enter_context(simulator)
        except OSError as error:
            echo(f"Cannot listen on {host}:{port}: {error.strerror or error}. Choose another port with --port.")
            return 1
        home = codex_home or stack.enter_context(tempfile.TemporaryDirectory(prefix="codex-simulator-"))
        _announce(simulator, echo, simulator.write_codex_home(home).resolve())
        # A bare wait() cannot be interrupted by a signal on Windows.
        while not stopped.wait(1.0):
            pass
    echo("Stopped.")
    return 0


def _announce(simulator: Simulator, echo: Callable[[str], object], home: Path) -> None:
    echo(f"Codex backend   {simulator.base_url}")
    echo(f"OAuth issuer    {simulator.issuer}")
    echo("")
    echo("Point a program at it (CODEX_HOME has a login of its own: yours stays where it is):")
    for name, value in {**simulator.environment, "CODEX_HOME": home}.items():
        echo(f"  export {name}={shlex.quote(str(value))}")
    echo("")
    echo("Press Ctrl-C to stop.")


@contextmanager
def _signals() -> Iterator[threading.Event]:
    """Give an event that is set by SIGINT and SIGTERM, which do nothing else meanwhile."""
    stopped = threading.Event()
    before = {number: signal.signal(number, lambda *_: stopped.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
