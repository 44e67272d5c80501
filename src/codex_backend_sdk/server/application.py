"""Build the ASGI application of the local server.

The layers, from the outside: the log (one line for each request), the body drain, the access checks with CORS, the
errors, the routes. `app.state` has what the routes use.
"""

from __future__ import annotations

import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.routing import Route, WebSocketRoute

from .._redaction import redact
from .access import AccessMiddleware
from .api_errors import INTERNAL_ERROR, ApiError, api_error_of
from .bodies import BodyDrain
from .json_responses import send_error
from .model_routes import chat_completions, responses
from .models_route import ModelList, list_models, retrieve_model
from .other_routes import health, index, missing_path_error, usage, wrong_base_error
from .reasoning_memory import ReasoningMemory
from .request_log import CLIENT_LEFT, RequestLog, RequestLogMiddleware
from .slots import Slots
from .websocket_route import responses_socket

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from .._client import AsyncOpenAI
    from .server_settings import ServerSettings

__all__ = ["create_app"]


def create_app(
    client: AsyncOpenAI,
    settings: ServerSettings,
    *,
    log: RequestLog | None = None,
    print_traceback: Callable[[str], object] | None = None,
) -> Starlette:
    """Return the application, which sends all requests with `client`. The caller closes the client.

    `log` gets the finished requests, `print_traceback` the redacted traceback of an unexpected exception.
    """

    def error_of(error: Exception) -> ApiError:
        api_error = api_error_of(error, now=datetime.now(UTC))
        if api_error.code == INTERNAL_ERROR and print_traceback is not None:
            print_traceback(redact("".join(traceback.format_exception(error))))
        return api_error

    log = log or RequestLog(lambda line, is_problem: None)
    app = Starlette(
        routes=[Route("/health", health), *_routes("/v1"), *_routes("")],
        middleware=[
            Middleware(RequestLogMiddleware, log),
            Middleware(BodyDrain),
            Middleware(AccessMiddleware, settings),
            Middleware(_ErrorMiddleware, error_of),
        ],
        exception_handlers={HTTPException: _http_error},
    )
    app.router.redirect_slashes = False  # a redirect would lose the body of a POST
    app.router.default = _missing_path
    app.state.client = client
    app.state.settings = settings
    app.state.slots = Slots(settings.concurrency, settings.queue_limit)
    app.state.models = ModelList(client)
    app.state.reasoning_memory = ReasoningMemory(settings.reasoning_memory)
    app.state.error_of = error_of
    app.state.log = log
    return app


def _routes(prefix: str) -> list[BaseRoute]:
    """Return the routes below a prefix. Programs whose base URL lacks `/v1` use those without one."""
    return [
        Route(f"{prefix}/", index),
        *([Route(prefix, index)] if prefix else []),
        Route(f"{prefix}/responses", responses, methods=["POST"]),
        WebSocketRoute(f"{prefix}/responses", responses_socket),
        Route(f"{prefix}/chat/completions", chat_completions, methods=["POST"]),
        Route(f"{prefix}/models", list_models),
        Route(f"{prefix}/models/{{model_id:path}}", retrieve_model),
        Route(f"{prefix}/usage", usage),
    ]


async def _missing_path(scope: Scope, receive: Receive, send: Send) -> None:
    """Raise the error for an unknown path, of a request or of a WebSocket."""
    raise missing_path_error(scope["path"])


async def _http_error(request: Request, error: Exception) -> Response:
    """Turn Starlette's error for a wrong method into one of the API."""
    assert isinstance(error, HTTPException)
    wrong_base = wrong_base_error(request.url.path)  # `/v1/models/{id}` matches `/v1/models/chat/completions`
    if wrong_base is not None:
        raise wrong_base
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    raise ApiError(
        405,
        f"codex-backend serve does not know this method for the path. It has: {headers.get('allow')}.",
        code="local_wrong_method",
        headers=headers,
    )


class _ErrorMiddleware:
    """ASGI middleware: respond to an exception with an error of the API, unless the response has begun."""

    def __init__(self, app: ASGIApp, error_of: Callable[[Exception], ApiError]) -> None:
        self.app = app
        self._error_of = error_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application, and report its exception."""
        has_begun = False

        async def observed_send(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self.app(scope, receive, observed_send)
        except ClientDisconnect:  # while its body was read
            scope["state"]["record"].note_end(CLIENT_LEFT)
        except Exception as error:
            api_error = self._error_of(error)
            if has_begun:
                scope["state"]["record"].note_error(api_error)
                raise
            await send_error(scope, send, api_error)
