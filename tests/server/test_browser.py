"""A web page in a real browser that tries to use the local server: nothing of it reaches the backend.

The page is on another port of 127.0.0.1, or on a name that resolves to 127.0.0.1 (DNS rebinding). It knows the key,
which no page should, so that the tests show what the other checks are worth.
"""

from __future__ import annotations

import contextlib
import json
import queue
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from support.scripted_backend import wait_until

from .conftest import KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from codex_backend_sdk.testing import Simulator

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason="chromium is not installed"),
    pytest.mark.timeout(240),
]
REBOUND = "rebound.example"
_REPORT_SECONDS = 120.0

# Each attempt returns what the page can see: a status, the text of an opaque response, or the error.
_PAGE = """\
<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><body><script>
const root = ROOT, key = KEY, body = JSON.stringify({model: "gpt-5.5", input: "hi"});
const post = (path, type, more) =>
  fetch(root + path, {method: "POST", body, ...more, headers: {"content-type": type, ...(more || {}).headers}})
    .then(async response => response.type === "opaque" ? "opaque" : `${response.status} ${await response.text()}`);
const withKey = {headers: {authorization: `Bearer ${key}`}};
const loaded = (element, attribute, path) => new Promise(done => {
  element.onload = () => done("loaded"); element.onerror = () => done("error");
  element[attribute] = root + path; document.body.append(element);
});
const attempts = {
  "simple text": () => post("/v1/responses", "text/plain"),
  "simple text, no-cors": () => post("/v1/responses", "text/plain", {mode: "no-cors"}),
  "simple form, no-cors": () =>
    post("/v1/chat/completions", "application/x-www-form-urlencoded", {mode: "no-cors"}),
  "no-cors with the key": () => post("/v1/responses", "text/plain", {mode: "no-cors", ...withKey}),
  "JSON": () => post("/v1/responses", "application/json"),
  "JSON with the key": () => post("/v1/responses", "application/json", withKey),
  "chat with the key": () => post("/v1/chat/completions", "application/json", withKey),
  "models with the key": () => fetch(root + "/v1/models", withKey).then(response => `${response.status}`),
  "usage with cookies": () => fetch(root + "/v1/usage", {credentials: "include"}).then(r => `${r.status}`),
  "beacon": async () => navigator.sendBeacon(root + "/v1/responses", body) ? "sent" : "not sent",
  "image": () => loaded(new Image(), "src", "/v1/models"),
  "script": () => loaded(document.createElement("script"), "src", "/v1/models"),
  "form": () => new Promise(done => {
    const frame = document.createElement("iframe"), form = document.createElement("form");
    frame.name = "target"; frame.onload = () => done("loaded"); document.body.append(frame, form);
    Object.assign(form, {method: "POST", enctype: "text/plain", action: root + "/v1/responses", target: "target"});
    form.submit();
  }),
  "websocket": () => new Promise(done => {
    const socket = new WebSocket(root.replace("http", "ws") + "/v1/responses");
    socket.onopen = () => { socket.send(body); done("open"); }; socket.onerror = () => done("error");
  }),
};
(async () => {
  const seen = {};
  for (const [name, attempt] of Object.entries(attempts)) {
    try { seen[name] = await attempt(); } catch (error) { seen[name] = error.name; }
  }
  await fetch("/report", {method: "POST", body: JSON.stringify(seen)});
})();
</script>
"""


class WebSite:
    """A foreign web site, on a port of its own, whose page attacks the server at `root`."""

    def __init__(self) -> None:
        self.root = ""
        self.reports: queue.Queue[dict[str, str]] = queue.Queue()
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page = _PAGE.replace("ROOT", json.dumps(site.root), 1).replace("KEY", json.dumps(KEY), 1).encode()
                self.send_response(200)
                self.send_header("content-type", "text/html")
                self.send_header("content-length", str(len(page)))
                self.end_headers()
                self.wfile.write(page)

            def do_POST(self) -> None:
                site.reports.put(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def site() -> Iterator[WebSite]:
    website = WebSite()
    yield website
    website.close()


@pytest.fixture
def browse(tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Open a URL in a browser that can reach 127.0.0.1 only, and that resolves `REBOUND` to it."""
    with contextlib.ExitStack() as stack:

        def open_url(url: str) -> None:
            assert BROWSER is not None
            command = [
                BROWSER,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--no-proxy-server",
                "--remote-debugging-port=0",  # keeps it open
                f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                f"--user-data-dir={tmp_path / 'browser'}",
                url,
            ]
            process = stack.enter_context(
                subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                )
            )
            stack.callback(process.terminate)

        yield open_url


def attempts_of(site: WebSite) -> dict[str, str]:
    """Return what the page has seen."""
    return site.reports.get(timeout=_REPORT_SECONDS)


def is_refused(name: str, seen: str) -> bool:
    if name == "beacon":
        return True  # the browser does not report what became of it
    if name == "form":
        return seen == "loaded"  # the page of the error, which this page cannot read
    return seen in ("TypeError", "error", "opaque")


@pytest.mark.parametrize("host", ["127.0.0.1", REBOUND])
def test_page_reaches_nothing(server: Any, sim: Simulator, site: WebSite, browse: Any, host: str) -> None:
    site.root = f"http://{host}:{server.port}"
    browse(f"http://{host}:{site.port}/")
    seen = attempts_of(site)
    assert len(seen) == 14
    assert {name: each for name, each in seen.items() if not is_refused(name, each)} == {}
    assert sim.requests == []
    # It did arrive, and was rejected: not the browser alone has kept the page out.
    assert any(" 403 " in line for line in server.lines)
    assert not [line for line in server.lines if " 200 " in line or " 101 " in line]
    assert server.get("/models").status_code == 200


def test_rebound_name_shows_nothing_of_the_server(server: Any, sim: Simulator, site: WebSite, browse: Any) -> None:
    site.root = f"http://127.0.0.1:{server.port}"
    # The name first resolved to the attacker's server, which sent a page. The browser now takes both for one origin.
    browse(f"http://{REBOUND}:{server.port}/v1/models")
    wait_until(lambda: server.lines)
    assert " 403 " in server.lines[0]
    assert sim.requests == []


def test_page_of_a_named_origin_is_served(serve: Any, sim: Simulator, site: WebSite, browse: Any) -> None:
    server = serve(allowed_origins=(f"http://127.0.0.1:{site.port}",))
    site.root = f"http://127.0.0.1:{server.port}"
    browse(f"http://127.0.0.1:{site.port}/")
    seen = attempts_of(site)
    assert seen["JSON with the key"].startswith("200 ")
    assert seen["models with the key"] == "200"
    assert seen["JSON"].startswith("401 ")
    assert {seen["simple text"][:3], seen["usage with cookies"][:3]} <= {"401", "Typ"}
    assert seen["websocket"] == "error"  # a browser cannot send the key with it
    assert len(sim.model_requests) == 2
