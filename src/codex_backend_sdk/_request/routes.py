"""Find the route of a request, or the official name of a resource that the Codex backend lacks.

Every official resource method sends a request to a path. A path that is not in the table below is rejected before
anything is sent; the error has the name that the user called (`client.files.create` → `files`).
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Final
from urllib.parse import unquote

__all__ = ["Route", "find_route", "missing_resource", "requested_model"]


class Route(Enum):
    """The purpose of a request, which determines how the request is shaped and how the response is read."""

    RESPONSES = auto()
    COMPACT = auto()
    MODELS = auto()
    MODEL = auto()
    # ChatGPT endpoints without an official counterpart, under `client.codex`.
    ACCOUNT = auto()
    USAGE = auto()
    RESET = auto()  # consumes a reset credit; its request id makes it idempotent


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

# Prefix of an unsupported resource → remedy. The first matching prefix applies.
_REMEDIES: Final = {
    "chat.completions": (
        "Use `client.responses.create(...)`. In a library, select its Responses mode, for example "
        "`use_responses_api=True` in LangChain."
    ),
    "completions": "Use `client.responses.create(...)`.",
    "responses.retrieve": "Keep the object that `create` returned: the backend stores no responses.",
    "responses.input_tokens": "Use `client.codex.explain(...).tokens`, which estimates the input tokens.",
    "conversations": "Pass the earlier items in `input`.",
}

# (method, path below `/responses/{id}`) → the official name, where it differs from the path.
_RESPONSE_METHODS: Final = {
    ("get", ""): "responses.retrieve",
    ("delete", ""): "responses.delete",
    ("post", "cancel"): "responses.cancel",
    ("get", "input_items"): "responses.input_items",
}


def find_route(method: str, path: str) -> Route | None:
    """Return the purpose of a request, or None if the Codex backend has no such route."""
    for verb, pattern, route in _ROUTES:
        if verb == method.lower() and pattern.fullmatch(path):
            return route
    return None


def requested_model(path: str) -> str:
    """Return the model id in a path `/models/{id}`."""
    return unquote(path.rsplit("/", 1)[-1])


def missing_resource(method: str, path: str) -> tuple[str, str | None]:
    """Return the official name of a resource that the backend lacks, and the remedy, if there is one."""
    path, _, query = path.partition("?")
    if "://" in path:
        return path, "Pass a path: the login is sent to the Codex backend only."
    resource = _resource_name(method.lower(), [part for part in path.split("/") if part])
    if "beta=true" in query:
        resource = f"beta.{resource}"
    return resource, next((remedy for prefix, remedy in _REMEDIES.items() if resource.startswith(prefix)), None)


def _resource_name(method: str, parts: list[str]) -> str:
    match parts:
        case ["responses", _, *rest] if (method, "/".join(rest)) in _RESPONSE_METHODS:
            return _RESPONSE_METHODS[method, "/".join(rest)]
        case ["models", *_]:
            return f"models.{method}"
        case _:
            # Ids contain a digit or an upper-case letter; names of resources contain neither.
            names = [part for part in parts if re.fullmatch(r"[a-z_-]+", part)]
            return ".".join(name.replace("-", "_") for name in names) or "/".join(parts) or "/"
