"""Run a Python file in a process of its own, without importing openai again for each.

The import takes nearly a second of processor time, far more than the rest of most programs. One process per test
worker imports openai and this package, and forks for each program. The child has its own folder, environment,
arguments, standard streams and `__main__`, and ends as an interpreter does: it waits for threads, runs the exit
functions and destroys the objects, so a test sees a warning at exit. A test cannot check imports in this way: neither
those of this package, which tests/test_import.py checks, nor a missing import of a submodule that openai has imported.

Systems other than Linux start an interpreter for each program.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import subprocess
import sys
import types
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["run_on_streams", "run_python_file"]

_OPTIONS = ("-X", "utf8", "-W", "error")


def run_python_file(
    path: Path, *arguments: str, cwd: Path, env: dict[str, str], input: str | None = None, timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run the file as `python -W error PATH ARGUMENTS` in a new process, and return its exit code and output.

    Without `input`, its standard input is the null device.

    Raises:
        subprocess.TimeoutExpired: it did not end within `timeout` seconds, and was killed.
    """
    with TemporaryDirectory() as folder:
        streams = [Path(folder, name) for name in ("in", "out", "err")]
        for stream, text in zip(streams, (input or "", "", ""), strict=True):
            stream.write_text(text, encoding="utf-8")
        if input is None:
            streams[0] = Path(os.devnull)
        code = run_on_streams(path, *arguments, cwd=cwd, env=env, streams=streams, timeout=timeout)
        out, err = (stream.read_text(encoding="utf-8") for stream in streams[1:])
    return subprocess.CompletedProcess([str(path), *arguments], code, out, err)


def run_on_streams(
    path: Path, *arguments: str, cwd: Path, env: dict[str, str], streams: Sequence[Path], timeout: float
) -> int:
    """Run the file with these files or devices as its three standard streams, and return its exit code."""
    command = [str(path), *arguments]
    if sys.platform == "linux":
        return _fork_and_wait(
            {"command": command, "cwd": str(cwd), "env": env, "streams": [*map(str, streams)]}, timeout
        )
    with ExitStack() as stack:
        stdin, stdout, stderr = (
            stack.enter_context(stream.open(mode)) for stream, mode in zip(streams, ("rb", "wb", "wb"), strict=True)
        )
        command = [sys.executable, *_OPTIONS, *command]
        return subprocess.run(
            command, cwd=cwd, env=env, stdin=stdin, stdout=stdout, stderr=stderr, timeout=timeout, check=False
        ).returncode


def _fork_and_wait(program: dict[str, Any], timeout: float) -> int:
    forker = _forker()
    assert forker.stdin is not None
    assert forker.stdout is not None
    forker.stdin.write(json.dumps(program).encode() + b"\n")
    pid = int(forker.stdout.readline())
    has_ended = False
    try:
        has_ended = bool(select.select([forker.stdout], [], [], timeout)[0])
    finally:  # even if the time limit of the test interrupts `select`
        if not has_ended:
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(pid, signal.SIGKILL)
        code = int(forker.stdout.readline())
    if not has_ended:
        raise subprocess.TimeoutExpired(program["command"], timeout)
    return code


@cache
def _forker() -> subprocess.Popen[bytes]:
    """Start the process that forks. It ends when its standard input is closed."""
    command = [sys.executable, *_OPTIONS, __file__]
    forker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    atexit.register(forker.communicate)
    return forker


# --- the process that forks -------------------------------------------------------------------------------------------


def _serve(requests: IO[bytes], replies: IO[bytes]) -> None:
    """Fork for each line of `requests`. Reply with the id of the process, and with its exit code when it has ended."""

    import codex_backend_sdk

    assert codex_backend_sdk.OpenAI  # imports the client, which is lazy
    for line in requests:
        pid = os.fork()
        if pid == 0:
            _run(**json.loads(line))
            return
        replies.write(b"%d\n" % pid)
        _, status = os.waitpid(pid, 0)
        replies.write(b"%d\n" % os.waitstatus_to_exitcode(status))


def _run(command: list[str], cwd: str, env: dict[str, str], streams: list[str]) -> None:
    """Become the program. The caller then returns, so that the interpreter ends."""
    for descriptor, stream in enumerate(streams):
        file = os.open(stream, os.O_WRONLY if descriptor else os.O_RDONLY)
        os.dup2(file, descriptor)
        os.close(file)
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = sys.__stdout__ = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.__stderr__ = open(2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    path = Path(cwd, command[0])
    sys.argv = command
    sys.path[0] = str(path.parent)
    main = types.ModuleType("__main__")
    main.__file__ = str(path)
    sys.modules["__main__"] = main
    exec(compile(path.read_bytes(), command[0], "exec", dont_inherit=True), vars(main))


if __name__ == "__main__":
    with open(0, "rb", buffering=0, closefd=False) as requests, open(1, "wb", buffering=0, closefd=False) as replies:
        _serve(requests, replies)
