"""Control a headless Chromium over its DevTools protocol."""

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

BINARY_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
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
TIMEOUT_SECONDS = 20.0


def find_binary() -> str | None:
    """Return the path of an installed Chromium, or None."""
    return os.environ.get("CHROMIUM_BINARY") or next(
        (path for name in BINARY_NAMES if (path := shutil.which(name))), None
    )


class Tab:
    """A browser tab."""

    def __init__(self, port: int, target: dict[str, Any]) -> None:
        self._port = port
        self._id = target["id"]
        self._socket = connect(target["webSocketDebuggerUrl"], proxy=None, max_size=None)
        self._last_call_id = 0

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        self._last_call_id += 1
        self._socket.send(json.dumps({"id": self._last_call_id, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(timeout=TIMEOUT_SECONDS))
            if message.get("id") == self._last_call_id:
                if "error" in message:
                    raise RuntimeError(message["error"]["message"])
                result: dict[str, Any] = message["result"]
                return result

    def run(self, expression: str) -> Any:
        """Return the value of a JavaScript expression."""
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def wait(self, expression: str) -> None:
        """Wait until an expression is true. Ignore errors, which the evaluation raises while a page loads."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while True:
            with contextlib.suppress(RuntimeError):
                if self.run(expression):
                    return
            assert time.monotonic() < deadline, f"{expression} at {self.run('location.href')}: {self.text}"
            time.sleep(0.02)

    def click(self, selector: str) -> None:
        self.wait(f"document.querySelector({json.dumps(selector)}) !== null")
        self.run(f"document.querySelector({json.dumps(selector)}).click()")

    def navigate(self, url: str) -> None:
        self.call("Page.navigate", url=url)

    @property
    def text(self) -> str:
        return str(self.run("document.body.innerText"))

    def set_viewport(self, *, width: int, height: int, is_dark: bool = False) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def screenshot(self, file: Path) -> None:
        file.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def close(self) -> None:
        self._socket.close()
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/json/close/{self._id}", timeout=TIMEOUT_SECONDS):
            pass


class Chromium:
    """A running browser."""

    def __init__(self, port: int) -> None:
        self._port = port

    def open(self, url: str) -> Tab:
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}/json/new?about:blank", method="PUT")
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
            tab = Tab(self._port, json.load(response))
        tab.navigate(url)
        return tab


@contextlib.contextmanager
def start(binary: str, profile: Path) -> Iterator[Chromium]:
    """Start the browser with this profile folder, and kill its process group at the end."""
    with (profile.parent / "chromium.log").open("wb") as log:
        process = subprocess.Popen(
            [binary, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield Chromium(_read_port(process, profile / "DevToolsActivePort"))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _read_port(process: subprocess.Popen[bytes], file: Path) -> int:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the browser ended with {process.returncode}"
        with contextlib.suppress(OSError, ValueError, IndexError):
            return int(file.read_text().splitlines()[0])
        time.sleep(0.05)
    raise AssertionError(f"the browser did not start within {TIMEOUT_SECONDS} seconds")
