"""The small routes, and the responses to paths that do not exist.

A path of another API gets a 404 that says what to use instead: users then do not take the server for broken.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import JSONResponse

from .api_errors import ApiError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

__all__ = ["health", "index", "missing_path_error", "usage", "wrong_base_error"]

_ROUTES: Final = "POST /v1/responses (also as a WebSocket), POST /v1/chat/completions, GET /v1/models, GET /v1/usage"

# The beginning of a path, without `/v1` → what to use instead.
_MISSING: Final = {
    "/embeddings": "Embeddings are not part of the plan. Use the OpenAI API with an API key, or a local model.",
    "/completions": "Text completions do not exist: completing code with a reasoning model is slow, and uses much of "
    "the plan. Use /v1/chat/completions.",
    "/messages": "The API of Anthropic is not offered. Use a program for the OpenAI API, or a translator in front.",
    "/api": "The API of Ollama is not offered. Set the program to OpenAI, with the base URL of this server: its "
    "address and /v1.",
    "/images": 'Images are a tool here: send `tools: [{"type": "image_generation"}]` to /v1/responses.',
    "/audio": "Audio is not part of the plan.",
    "/realtime": "Realtime is not part of the plan. Use /v1/responses, also as a WebSocket.",
    "/files": "Files cannot be stored. Send the content as `file_data` or `image_url` in the request.",
    "/uploads": "Files cannot be stored. Send the content as `file_data` or `image_url` in the request.",
    "/vector_stores": "Vector stores are not part of the plan.",
    "/batches": "Use the command `codex-backend batch`.",
    "/fine_tuning": "Fine-tuning is not part of the plan.",
    "/moderations": "Moderation is not part of the plan.",
    "/assistants": "Assistants are not part of the plan. Use /v1/responses.",
    "/threads": "Threads are not stored. Send the whole history to /v1/responses.",
    "/conversations": "Conversations are not stored. Send the whole history to /v1/responses.",
    "/responses": "Responses are not stored. Send the whole history to /v1/responses.",
    "/chat/completions": "Completions are not stored. Send the whole history to /v1/chat/completions.",
}
# The paths that programs append to their base URL.
_APPENDED: Final = ("/chat/completions", "/responses", "/models", "/embeddings")
_LONG_PATH: Final = 200


async def index(request: Request) -> Response:
    """Respond to `GET /` and `GET /v1`, which users open to see whether the server runs."""
    return JSONResponse(
        {
            "message": "codex-backend serve is running. In a program for the OpenAI API, set the base URL to the "
            "address of this server with /v1, and the API key to the key of this server.",
            "routes": _ROUTES,
        }
    )


async def health(request: Request) -> Response:
    """Respond to `GET /health`: the process runs. The login and the limits are behind the key."""
    return JSONResponse({"status": "ok"})


async def usage(request: Request) -> Response:
    """Respond to `GET /v1/usage` with the usage limits of the plan, which are requested."""
    limits = await request.app.state.client.codex.refresh_limits()
    return JSONResponse({"object": "usage", **_json_data(limits)})


def _json_data(value: Any) -> Any:
    """Convert limits to JSON. Times are ISO 8601 in UTC, durations seconds."""
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="seconds")
        case timedelta():
            return value.total_seconds()
        case Decimal():
            return str(value)
        case tuple():
            return [_json_data(each) for each in value]
    if is_dataclass(value):
        return {
            f"{field.name}_seconds" if field.name == "length" else field.name: _json_data(getattr(value, field.name))
            for field in fields(value)
        }
    return value


def wrong_base_error(path: str) -> ApiError | None:
    """Return the error for a path that shows a wrong base URL, or None for any other path.

    Users often enter the URL of a route as the base URL. The program then requests, for example,
    `/v1/chat/completions/chat/completions` or `/v1/v1/models`.
    """
    bases = ["/v1/v1"] if f"{path}/".startswith("/v1/v1/") else []
    bases += [path.removesuffix(each) for each in _APPENDED if path.endswith(each)]
    if not bases or bases[0] in ("", "/v1"):
        return None
    return ApiError(
        404,
        "codex-backend serve has no such path. The base URL of your program ends with "
        f"{bases[0][:_LONG_PATH]}. It must end with /v1, directly after the address and the port.",
        code="local_unknown_path",
    )


def missing_path_error(path: str) -> ApiError:
    """Return the error for a path that does not exist."""
    wrong_base = wrong_base_error(path)
    if wrong_base is not None:
        return wrong_base
    name = path.removeprefix("/v1")[:_LONG_PATH]
    reason = next((text for start, text in _MISSING.items() if f"{name}/".startswith(f"{start}/")), None)
    return ApiError(
        404,
        f"codex-backend serve has no such path. {reason or ''}".rstrip() + f" It has: {_ROUTES}.",
        code="local_unknown_path",
    )
