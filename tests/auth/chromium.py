"""A real Chromium without a window, driven over its DevTools protocol."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from typing import TYPE_CHECKING, Any

from websockets.sync.client import connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--no-proxy-server",
    # Only this machine can be reached, whatever the browser requests.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
    "--remote-debugging-port=0",
)
SECONDS = 20.0


def found() -> str | None:
    return os.environ.get("CHROMIUM_BINARY") or next((path for name in NAMES if (path := shutil.which(name))), None)


class Tab:
    """One tab. `run` returns the value of a JavaScript expression."""

    def __init__(self, port: int, target: dict[str, Any]) -> None:
        self._port = port
        self._id = target["id"]
        self._socket = connect(target["webSocketDebuggerUrl"], proxy=None, max_size=None)
        self._number = 0

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(timeout=SECONDS))
            if message.get("id") == self._number:
                if "error" in message:
                    raise RuntimeError(message["error"]["message"])
                result: dict[str, Any] = message["result"]
                return result

    def run(self, expression: str) -> Any:
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def wait(self, expression: str) -> None:
        """Wait until an expression is true. Evaluating it fails while the page is being replaced."""
        deadline = time.monotonic() + SECONDS
        while True:
            with contextlib.suppress(RuntimeError):
                if self.run(expression):
                    return
            assert time.monotonic() < deadline, f"{expression} at {self.run('location.href')}: {self.text}"
            time.sleep(0.02)

    def click(self, selector: str) -> None:
        self.wait(f"document.querySelector({json.dumps(selector)}) !== null")
        self.run(f"document.querySelector({json.dumps(selector)}).click()")

    def go(self, url: str) -> None:
        self.call("Page.navigate", url=url)

    @property
    def text(self) -> str:
        return str(self.run("document.body.innerText"))

    def look(self, *, width: int, height: int, dark: bool = False) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def screenshot(self, file: Path) -> None:
        file.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def close(self) -> None:
        self._socket.close()
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/json/close/{self._id}", timeout=SECONDS):
            pass


class Chromium:
    """A running browser."""

    def __init__(self, port: int) -> None:
        self._port = port

    def open(self, url: str) -> Tab:
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}/json/new?about:blank", method="PUT")
        with urllib.request.urlopen(request, timeout=SECONDS) as response:
            tab = Tab(self._port, json.load(response))
        tab.go(url)
        return tab


@contextlib.contextmanager
def running(binary: str, profile: Path) -> Iterator[Chromium]:
    with (profile.parent / "chromium.log").open("wb") as log:
        process = subprocess.Popen(
            [binary, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield Chromium(_port(process, profile / "DevToolsActivePort"))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _port(process: subprocess.Popen[bytes], file: Path) -> int:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the browser ended with {process.returncode}"
        with contextlib.suppress(OSError, ValueError, IndexError):
            return int(file.read_text().splitlines()[0])
        time.sleep(0.05)
    raise AssertionError("the browser did not start")
