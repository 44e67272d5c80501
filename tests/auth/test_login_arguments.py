"""Test that invalid arguments of a login are rejected before anything starts."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Any

import pytest

from codex_backend_sdk.auth import MemoryStore
from codex_backend_sdk.auth._login_arguments import require_login_arguments

if TYPE_CHECKING:
    from collections.abc import Callable

    from codex_backend_sdk.testing import Simulator

INVALID: list[tuple[str, Any, type[Exception]]] = [
    ("ports", [99999], ValueError),
    ("ports", [-1], ValueError),
    ("ports", [], ValueError),
    ("ports", 1455, TypeError),
    ("ports", None, TypeError),
    ("ports", "1455", TypeError),
    ("ports", ["1455"], TypeError),
    ("ports", [True], TypeError),
    ("cancel", 5, TypeError),
    ("cancel", True, TypeError),
    ("timeout", math.nan, ValueError),
    ("timeout", -1, ValueError),
    ("timeout", -math.inf, ValueError),
    ("timeout", "x", TypeError),
    ("timeout", True, TypeError),
    ("open_browser", 5, TypeError),
    ("open_browser", None, TypeError),
    ("open_browser", "firefox", TypeError),
    ("paste", 5, TypeError),
    ("paste", "code=x", TypeError),
    ("on_url", 5, TypeError),
    ("on_code", [], TypeError),
    ("workspace_id", 5, TypeError),
    ("workspace_id", "", ValueError),
    ("workspace_id", " ", ValueError),
    ("workspace_id", "a\nb", ValueError),
    ("scopes", "openid profile", TypeError),
    ("scopes", [5], TypeError),
    ("scopes", [], ValueError),
    ("scopes", ["a\nb"], ValueError),
]
VALID: list[tuple[str, Any]] = [
    ("ports", (0, 65535)),
    ("ports", range(1, 3)),
    ("cancel", threading.Event()),
    ("cancel", None),
    ("timeout", 0),
    ("timeout", math.inf),
    ("timeout", None),
    ("open_browser", False),
    ("open_browser", print),
    ("paste", input),
    ("on_url", None),
    ("on_code", print),
    ("workspace_id", "ws-1"),
    ("scopes", ["openid"]),
]


@pytest.mark.parametrize(("name", "value", "error_class"), INVALID)
def test_invalid_argument_is_named(name: str, value: Any, error_class: type[Exception]) -> None:
    with pytest.raises(error_class, match=f"^`{name}` must be .*, not ") as caught:
        require_login_arguments(**{name: value})
    assert type(caught.value) is error_class


@pytest.mark.parametrize(("name", "value"), VALID)
def test_valid_argument_is_accepted(name: str, value: Any) -> None:
    require_login_arguments(**{name: value})


@pytest.mark.parametrize("is_stored", [False, True], ids=["no login", "stored login"])
def test_nothing_starts_with_an_invalid_argument(
    new_client: Callable[..., Any], sim: Simulator, is_stored: bool
) -> None:
    document = sim.login_document() if is_stored else None
    client = new_client(credentials=MemoryStore(document))
    shown: list[object] = []
    for name, value, error_class in INVALID:
        is_device = name == "on_code"
        arguments = {"open_browser": shown.append, "on_url": shown.append, "ports": (0,), "timeout": 5, name: value}
        with pytest.raises(error_class, match=f"`{name}`"):
            client.authenticate_device_code(on_code=value) if is_device else client.authenticate(**arguments)
    assert shown == []
    assert sim.requests == []
