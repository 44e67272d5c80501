"""Test the login with a real browser on the page of the simulator.

Set `CHROMIUM_BINARY` to the path of a Chromium that is not on the PATH, and `CODEX_SCREENSHOTS` to a folder for
screenshots of the result pages.
"""

from __future__ import annotations

import os
import struct
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from codex_backend_sdk._exceptions import LoginFailedError
from codex_backend_sdk.auth import Credentials, FileStore
from codex_backend_sdk.testing import Simulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chromium import Chromium, Tab

chromium = pytest.importorskip("chromium", reason="the package websockets is not installed")
BINARY = chromium.find_binary()

pytestmark = [
    pytest.mark.skipif(BINARY is None, reason="no Chromium: CHROMIUM_BINARY is not set and none is on the PATH"),
    pytest.mark.skipif(os.name == "nt", reason="the process group is killed with POSIX signals"),
]

# Two sizes, in both color schemes: width, height, is_dark.
SIZES_AND_SCHEMES = [(900, 640, False), (900, 640, True), (360, 640, False), (360, 640, True)]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with chromium.start(BINARY, tmp_path_factory.mktemp("chromium") / "profile") as started:
        yield started


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with Simulator(approval="manual") as simulator:
        yield simulator


@pytest.fixture
def screenshots(tmp_path: Path) -> Path:
    folder = Path(os.environ.get("CODEX_SCREENSHOTS") or tmp_path / "screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class Visit:
    """A function that opens the authorize URL in a tab, runs `script` in it, and records its error."""

    def __init__(self, browser: Chromium, script: Callable[[Tab, str], object]) -> None:
        self._browser = browser
        self._script = script
        self._error: BaseException | None = None
        self._is_done = threading.Event()

    def __call__(self, url: str) -> None:
        tab = self._browser.open(url)
        try:
            self._script(tab, url)
        except BaseException as error:
            self._error = error
        finally:
            tab.close()
            self._is_done.set()

    def wait(self) -> None:
        """Wait until the script ends, which reads the last page after the login, and raise its error."""
        assert self._is_done.wait(30)
        if self._error is not None:
            raise self._error


def log_in(store: FileStore, sim: Simulator, visit: Visit, *, timeout: float = 40) -> Any:
    try:
        return Credentials(store, issuer=sim.issuer).authenticate(open_browser=visit, ports=(0,), timeout=timeout)
    finally:
        visit.wait()


def check_layout(tab: Tab, name: str, folder: Path) -> None:
    """Take screenshots, and check that the card is centered and nothing overflows the window."""
    for width, height, is_dark in SIZES_AND_SCHEMES:
        tab.set_viewport(width=width, height=height, is_dark=is_dark)
        card = tab.run(
            "(({x, y, width, height}) => [x, y, width, height])(document.querySelector('main').getBoundingClientRect())"
        )
        assert abs(card[0] + card[2] / 2 - width / 2) < 2
        assert abs(card[1] + card[3] / 2 - height / 2) < 2
        assert tab.run("document.documentElement.scrollWidth") <= width
        assert tab.run("document.documentElement.scrollHeight") <= height
        background, text = (tab.run(f"getComputedStyle(document.body).{name}") for name in ("backgroundColor", "color"))
        assert (_brightness(background) < _brightness(text)) is is_dark
        screenshot = folder / f"{name}-{width}-{'dark' if is_dark else 'light'}.png"
        tab.screenshot(screenshot)
        assert struct.unpack(">II", screenshot.read_bytes()[16:24]) == (width, height)


def _brightness(color: str) -> int:
    return sum(int(part) for part in color.removeprefix("rgb(").removesuffix(")").split(","))


def test_success_page_appears_after_the_login_is_stored(
    browser: Chromium, sim: Simulator, tmp_path: Path, screenshots: Path
) -> None:
    store = FileStore(tmp_path / "auth.json")
    observed: dict[str, Any] = {}

    def approve(tab: Tab, url: str) -> None:
        tab.click("button[value=approve]")
        tab.wait("document.title === 'You are logged in'")
        observed.update(stored=store.load(), address=tab.run("location.href"), text=tab.text)
        observed["history"] = tab.call("Page.getNavigationHistory")["entries"]
        check_layout(tab, "success", screenshots)

    login = log_in(store, sim, Visit(browser, approve))
    assert login.email == "user@example.com"
    assert observed["stored"]["tokens"]["access_token"] == login.access_token.reveal()
    assert urlsplit(observed["address"]).path == "/success"
    assert "Your login is stored." in observed["text"]
    assert not [entry for entry in observed["history"] if "code=" in entry["url"].replace("code_challenge", "")]


def test_denied_login_shows_the_failure_page(
    browser: Chromium, sim: Simulator, tmp_path: Path, screenshots: Path
) -> None:
    store = FileStore(tmp_path / "auth.json")
    page_texts: list[str] = []

    def deny(tab: Tab, url: str) -> None:
        tab.click("button[value=deny]")
        tab.wait("document.title === 'Login failed'")
        page_texts.append(tab.text)
        check_layout(tab, "failure", screenshots)

    with pytest.raises(LoginFailedError, match="The user denied the request") as caught:
        log_in(store, sim, Visit(browser, deny))
    assert caught.value.code == "access_denied"
    assert "The user denied the request." in page_texts[0]
    assert store.load() is None


def test_forged_callback_is_rejected(browser: Chromium, sim: Simulator, tmp_path: Path) -> None:
    page_texts: list[str] = []

    def forge_callback(tab: Tab, url: str) -> None:
        callback_url = parse_qs(urlsplit(url).query)["redirect_uri"][0]
        tab.navigate(f"{callback_url}?code=ac_of_the_attacker&state=guessed")
        tab.wait("document.body.innerText === 'State mismatch'")
        page_texts.append(tab.text)
        tab.navigate(url)
        tab.click("button[value=approve]")
        tab.wait("document.title === 'You are logged in'")

    login = log_in(FileStore(tmp_path / "auth.json"), sim, Visit(browser, forge_callback))
    assert page_texts == ["State mismatch"]
    assert login.account_id == sim.account.account_id
    token_requests = [request.body for request in sim.requests if request.path == "/oauth/token"]
    assert len(token_requests) == 1
    assert b"attacker" not in token_requests[0]


def test_login_in_a_closed_tab_times_out(browser: Chromium, sim: Simulator, tmp_path: Path) -> None:
    visit = Visit(browser, lambda tab, url: tab.wait("document.querySelector('button') !== null"))
    with pytest.raises(LoginFailedError, match="not finished within 3 seconds") as caught:
        log_in(FileStore(tmp_path / "auth.json"), sim, visit, timeout=3)
    assert caught.value.code == "timeout"
