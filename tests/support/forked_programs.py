"""Run a Python file in a process of its own, without importing openai anew for each.

The import takes nearly a second of processor time, which is far more than what most programs do. One process per test
worker imports openai and this package, and forks for each program. The child has its own folder, environment,
arguments, standard streams and `__main__`, and ends as an interpreter does: it waits for threads, runs the exit
functions and destroys the objects, so a warning at exit is seen. What a test cannot see in this way is the import
itself, which tests/test_import.py is for.

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
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

__all__ = ["run_python_file"]

_OPTIONS = ("-X", "utf8", "-W", "error")
_STREAMS = ("stdin", "stdout", "stderr")


def run_python_file(
    path: Path, *arguments: str, cwd: Path, env: dict[str, str], input: str, timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run the file as `python -W error PATH ARGUMENTS` in a new process, and return its exit code and output.

    Raises:
        subprocess.TimeoutExpired: it did not end within `timeout` seconds, and was killed.
    """
    command = [str(path), *arguments]
    if sys.platform != "linux":
        return subprocess.run(
            [sys.executable, *_OPTIONS, *command],
            cwd=cwd,
            env=env,
            input=input,
            capture_output=True,
            encoding="utf-8",
            timeout=timeout,
            check=False,
        )
    with TemporaryDirectory() as streams:
        for name in _STREAMS:
            Path(streams, name).write_text(input if name == "stdin" else "", encoding="utf-8")
        code = _fork_and_wait({"command": command, "cwd": str(cwd), "env": env, "streams": streams}, timeout)
        out, err = (Path(streams, name).read_text(encoding="utf-8") for name in _STREAMS[1:])
    return subprocess.CompletedProcess(command, code, out, err)


def _fork_and_wait(program: dict[str, Any], timeout: float) -> int:
    forker = _forker()
    assert forker.stdin is not None
    assert forker.stdout is not None
    forker.stdin.write(json.dumps(program).encode() + b"\n")
    pid = int(forker.stdout.readline())
    is_over = bool(select.select([forker.stdout], [], [], timeout)[0])
    if not is_over:
        os.kill(pid, signal.SIGKILL)
    code = int(forker.stdout.readline())
    if not is_over:
        raise subprocess.TimeoutExpired(program["command"], timeout)
    return code


@cache
def _forker() -> subprocess.Popen[bytes]:
    """Start the process that forks. It ends with its standard input."""
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


def _run(command: list[str], cwd: str, env: dict[str, str], streams: str) -> None:
    """Become the program. The caller then returns, so that the interpreter ends."""
    for descriptor, name in enumerate(_STREAMS):
        file = os.open(Path(streams, name), os.O_RDONLY if name == "stdin" else os.O_WRONLY)
        os.dup2(file, descriptor)
        os.close(file)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    path = Path(cwd, command[0])
    sys.argv = command
    sys.path[0] = str(path.parent)
    main = types.ModuleType("__main__")
    main.__file__ = str(path)
    sys.modules["__main__"] = main
    exec(compile(path.read_bytes(), command[0], "exec"), vars(main))


if __name__ == "__main__":
    # These files have no buffer, so the standard streams of a program begin without one that is filled.
    with open(0, "rb", buffering=0, closefd=False) as requests, open(1, "wb", buffering=0, closefd=False) as replies:
        _serve(requests, replies)
