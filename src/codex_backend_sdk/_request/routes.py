"""Find the route of a request, or the official name of a resource that the Codex backend lacks.

Every official resource method sends a request to a path. A path that is not in the table below is rejected before
anything is sent; the error has the name that the user called (`client.files.create` → `files`).
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Final
from urllib.parse import unquote

__all__ = ["Route", "find_route", "missing_resource", "remedy_for", "requested_model"]


class Route(Enum):
    """The purpose of a request, which determines how the request is shaped and how the response is read."""

    RESPONSES = auto()
    COMPACT = auto()
    CHAT = auto()  # sent to /responses; the context of the request has the route RESPONSES
    MODELS = auto()
    MODEL = auto()
    # ChatGPT endpoints without an official counterpart, under `client.codex`.
    ACCOUNT = auto()
    USAGE = auto()
    RESET = auto()  # consumes a reset credit; its request id makes it idempotent


_ROUTES: Final = (
    ("post", re.compile(r"/responses/?"), Route.RESPONSES),
    ("post", re.compile(r"/responses/compact/?"), Route.COMPACT),
    ("post", re.compile(r"/chat/completions/?"), Route.CHAT),
    ("get", re.compile(r"/models/?"), Route.MODELS),
    ("get", re.compile(r"/models/[^/]+"), Route.MODEL),
    ("get", re.compile(r"/wham/usage"), Route.USAGE),
    ("get", re.compile(r"/wham/accounts/check"), Route.ACCOUNT),
    ("get", re.compile(r"/wham/rate-limit-reset-credits"), Route.ACCOUNT),
    ("post", re.compile(r"/wham/rate-limit-reset-credits/consume"), Route.RESET),
)

# Prefix of an unsupported resource, without `beta.` → remedy. docs/differences.md has the same table.
_USE_PLATFORM: Final = "Use the `openai` package with an API key."
_REMEDIES: Final = {
    "chat.completions": "Keep the object that `create` returned: the backend stores no completions.",
    "completions": "Use `client.chat.completions.create(...)` or `client.responses.create(...)`.",
    "responses.retrieve": "Keep the object that `create` returned: the backend stores no responses.",
    "responses.input_tokens": "Use `client.codex.explain(...).tokens`, which estimates the input tokens.",
    "conversations": "Use `client.codex.conversation()`, or pass the earlier items in `input`.",
    "images": "Use `client.responses.create(tools=[{'type': 'image_generation'}], ...)`. Pass images in `input`.",
    "files": "Pass text, or images as data URLs, in `input`.",
    "uploads": "Pass text, or images as data URLs, in `input`.",
    "vector_stores": "Pass the text to search in `input`, or search in a function that you pass as a tool.",
    "batches": "Use `client.codex.batch(...)`.",
    "realtime": "Use `client.responses.stream(...)`.",
    "threads": "Use `client.codex.conversation()`.",
    "assistants": "Use `client.codex.conversation(instructions=..., tools=...)`.",
    **dict.fromkeys(
        ("embeddings", "moderations", "audio", "videos", "fine_tuning", "evals", "containers"), _USE_PLATFORM
    ),
}
_OTHER_REMEDY: Final = "Use `responses`, `models` or the resources of `client.codex`."

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


def remedy_for(resource: str) -> str:
    """Return what to use instead of a resource that the backend lacks."""
    name = f"{resource.removeprefix('beta.')}."
    return next((remedy for prefix, remedy in _REMEDIES.items() if name.startswith(f"{prefix}.")), _OTHER_REMEDY)


def missing_resource(method: str, path: str) -> tuple[str, str]:
    """Return the official name of a resource that the backend lacks, and the remedy."""
    path, _, query = path.partition("?")
    if "://" in path:
        return path, "Pass a path: the login is sent to the Codex backend only."
    resource = _resource_name(method.lower(), [part for part in path.split("/") if part])
    if "beta=true" in query:
        resource = f"beta.{resource}"
    return resource, remedy_for(resource)


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
