"""Serve the simulator in the foreground. This is the implementation of `codex-backend simulate`."""

from __future__ import annotations

import errno
import json
import shlex
import signal
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .simulated_account import is_free_for_login
from .simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .http.request_summary import RequestSummary
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
    script: str | Path | None = None,
    login_is_expired: bool = False,
    supports_websockets: bool = False,
    as_json: bool = False,
    on_request: Callable[[RequestSummary], object] | None = None,
    **options: Any,
) -> None:
    """Serve until Ctrl-C or SIGTERM. Raises `OSError` if the server cannot listen on the address.

    Call this function in the main thread, because it handles signals.

    - `echo`: called with each line of output: the addresses and the environment variables that select the simulator.
      With `as_json`, the output is one JSON object instead.
    - `codex_home`: the directory in which to write a login for this package and the real Codex CLI. By default, a
      temporary directory is used. `login_is_expired` writes a login whose access token has expired. With
      `supports_websockets`, the CLI uses WebSockets.
    - `faults`, `probability`: arguments of `Simulator.fail`. The faults apply to every request.
    - `script`: the path of a file for `Simulator.script_file`.
    - `on_request` and other options are passed to `Simulator`.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("serve() handles signals and must run in the main thread. Use Simulator in other threads.")
    # Each run has a new seed, so that a login of an earlier run is not valid.
    options.setdefault("seed", time.time_ns())
    simulator = Simulator(host=host, port=port, approval=approval, on_request=on_request, **options)
    if script is not None:
        simulator.script_file(script)
    if faults:
        simulator.fail(*faults, times=None, probability=probability)
    if codex_home is not None and not is_free_for_login(Path(codex_home)):
        raise FileExistsError(
            errno.EEXIST,
            f"{codex_home} has files that no simulator wrote. Nothing was changed. Pass an empty or a new folder.",
        )
    with ExitStack() as stack:
        # Install the handlers first: another process may send the signal as soon as it reads the last line of output.
        stopped = stack.enter_context(_stop_signals())
        try:
            stack.enter_context(simulator)
        except OSError as error:
            problem = f"Cannot listen on {host}:{port}: {error.strerror or error}. Choose another port."
            raise OSError(error.errno, problem) from error
        home = simulator.write_codex_home(
            codex_home or stack.enter_context(tempfile.TemporaryDirectory(prefix="codex-simulator-")),
            expires_in=-timedelta(minutes=1) if login_is_expired else None,
            supports_websockets=supports_websockets,
        ).resolve()
        lines = [_start_document(simulator, home)] if as_json else _instructions(simulator, home)
        for line in lines:
            echo(line)
        # On Windows, a signal does not interrupt a wait() without a timeout.
        while not stopped.wait(1.0):
            pass
    if not as_json:
        echo("Stopped.")


def _environment(simulator: Simulator, home: Path) -> dict[str, str]:
    return {**simulator.environment, "CODEX_HOME": str(home)}


def _instructions(simulator: Simulator, home: Path) -> list[str]:
    variables = _environment(simulator, home).items()
    return [
        f"Codex backend   {simulator.base_url}",
        f"OAuth issuer    {simulator.issuer}",
        "",
        "Set these variables. CODEX_HOME has a simulated login; yours is not used:",
        *(f"  export {name}={shlex.quote(value)}" for name, value in variables),
        "",
        "Press Ctrl-C to stop.",
    ]


def _start_document(simulator: Simulator, home: Path) -> str:
    """Return a JSON object in one line, so that a program that starts the simulator can read one line."""
    document = {
        "base_url": simulator.base_url,
        "issuer_url": simulator.issuer,
        "codex_home": str(home),
        "environment": _environment(simulator, home),
    }
    return json.dumps(document, ensure_ascii=False)


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
