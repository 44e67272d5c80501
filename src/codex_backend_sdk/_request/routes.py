"""Which official routes the Codex backend has, and the name of what it has not.

Every official resource method ends in a request for a path, so the path decides: what is not in `ROUTES` is refused
before anything is sent.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Final
from urllib.parse import unquote

__all__ = ["Route", "find_route", "missing_resource", "model_id"]


class Route(Enum):
    """What a request is for; it decides how the request is shaped and how its answer is read."""

    RESPONSES = auto()
    COMPACT = auto()
    MODELS = auto()
    MODEL = auto()
    # The ChatGPT endpoints that only this package has, under `client.codex`
    ACCOUNT = auto()
    USAGE = auto()
    RESET = auto()  # uses a reset credit up


_ROUTES: Final = (
    ("post", re.compile(r"/responses/?"), Route.RESPONSES),
    ("post", re.compile(r"/responses/compact/?"), Route.COMPACT),
    ("get", re.compile(r"/models/?"), Route.MODELS),
    ("get", re.compile(r"/models/[^/]+"), Route.MODEL),
    ("get", re.compile(r"/wham/usage"), Route.USAGE),
    ("get", re.compile(r"/wham/accounts/check"), Route.ACCOUNT),
    ("get", re.compile(r"/wham/rate-limit-reset-credits"), Route.ACCOUNT),
    ("post", re.compile(r"/wham/rate-limit-reset-credits/consume"), Route.RESET),
)

# What to use instead of a resource that people ask for most.
_INSTEAD: Final = {
    "chat.completions": "use `client.responses.create(...)`",
    "completions": "use `client.responses.create(...)`",
    "responses.retrieve": "the backend keeps no responses: keep the object that `create` returned",
    "conversations": "pass the earlier items in `input`",
}

# Paths whose name as a resource is not the path with its slashes turned into dots.
_RESPONSE_METHODS: Final = {
    ("get", ""): "responses.retrieve",
    ("delete", ""): "responses.delete",
    ("post", "cancel"): "responses.cancel",
    ("get", "input_items"): "responses.input_items",
}


def find_route(method: str, path: str) -> Route | None:
    """Return what a request is for, or None when the Codex backend has no such route."""
    for verb, pattern, route in _ROUTES:
        if verb == method.lower() and pattern.fullmatch(path):
            return route
    return None


def model_id(path: str) -> str:
    """Return the model id that a path `/models/{id}` asks for."""
    return unquote(path.rsplit("/", 1)[-1])


def missing_resource(method: str, path: str) -> tuple[str, str]:
    """Return the official name of a resource that the backend does not have, and what to use instead, or ""."""
    if "://" in path:
        return path.partition("?")[0], "it is an address of its own, and the login goes to the Codex backend only"
    bare, _, query = path.partition("?")
    resource = _resource_name(method.lower(), [part for part in bare.split("/") if part])
    if "beta=true" in query:
        resource = f"beta.{resource}"
    return resource, next((text for name, text in _INSTEAD.items() if resource.startswith(name)), "")


def _resource_name(method: str, parts: list[str]) -> str:
    match parts:
        case ["responses", _, *rest] if (method, "/".join(rest)) in _RESPONSE_METHODS:
            return _RESPONSE_METHODS[method, "/".join(rest)]
        case ["models", *_]:
            return f"models.{method}"
        case _:
            # An id has a digit or an upper-case letter in it; the name of a resource has neither.
            names = [part for part in parts if re.fullmatch(r"[a-z_-]+", part)]
            return ".".join(name.replace("-", "_") for name in names) or "/".join(parts) or "/"
