"""Test how a login recognizes a notebook. Kernels run in `make integrations`."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from codex_backend_sdk.auth.flows import browser
from codex_backend_sdk.auth.flows.notebook import is_notebook_kernel, show_link


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """What an IPython in a kernel displays."""
    outputs: list[dict[str, str]] = []
    install(monkeypatch, SimpleNamespace(kernel=object()), lambda data, *, raw: outputs.append(data))
    return outputs


def install(monkeypatch: pytest.MonkeyPatch, shell: object, display: Any = None) -> None:
    module = ModuleType("IPython")
    vars(module).update(get_ipython=lambda: shell, display=SimpleNamespace(display=display))
    monkeypatch.setitem(sys.modules, "IPython", module)


@pytest.mark.parametrize(
    ("shell", "expected"),
    [(None, False), (SimpleNamespace(), False), (SimpleNamespace(kernel=object()), True)],
    ids=["imported by a program", "in a terminal", "in a kernel"],
)
def test_only_a_shell_with_a_kernel_is_a_notebook(
    monkeypatch: pytest.MonkeyPatch, shell: object, expected: bool
) -> None:
    install(monkeypatch, shell)
    assert is_notebook_kernel() is expected


def test_program_without_ipython_is_no_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert not is_notebook_kernel()
    assert "IPython" not in sys.modules


def test_link_is_escaped_and_has_a_text(shown: list[dict[str, str]]) -> None:
    show_link('https://auth.example/?a=1&b="><script>')
    assert 'href="https://auth.example/?a=1&amp;b=&quot;&gt;&lt;script&gt;"' in shown[0]["text/html"]
    assert shown[0]["text/plain"].endswith('?a=1&b="><script>')


@pytest.mark.parametrize(
    ("open_browser", "environment", "has_field"),
    [
        (True, {"SSH_TTY": "/dev/pts/0"}, True),
        (True, {"BROWSER": "firefox"}, False),
        (False, {"BROWSER": "firefox"}, True),
        (print, {"SSH_TTY": "/dev/pts/0"}, False),
    ],
)
def test_field_is_for_kernels_without_a_browser(
    monkeypatch: pytest.MonkeyPatch, open_browser: Any, environment: dict[str, str], has_field: bool
) -> None:
    monkeypatch.delenv("BROWSER", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    options = browser._for_notebook(browser.BrowserLoginOptions(open_browser=open_browser))
    assert options.on_url is show_link
    assert (options.paste is input) is has_field


def test_arguments_of_the_caller_are_kept(shown: list[dict[str, str]]) -> None:
    given = browser.BrowserLoginOptions(open_browser=False, on_url=print, paste=str)
    assert browser._for_notebook(given) == given
