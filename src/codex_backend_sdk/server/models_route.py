"""The models of the account: `/v1/models`, in the official shape or as the catalog of the Codex CLI.

Programs that show or shorten a history need the size of the window, which the official shape does not have. They look
for different names of it, so an entry has all of them. Without one, many assume 16,000 to 32,000 tokens.

The list is requested when it is five minutes old. If that fails, the last list of the account is kept: a program that
asks for the models first should not fail because of it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import anyio
from openai import OpenAIError
from starlette.responses import JSONResponse

from .._catalog import efforts_of, similar_model
from .api_errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from .._client import AsyncOpenAI

__all__ = ["ModelList", "list_models", "retrieve_model"]

_FRESH_SECONDS: Final = 300.0
# After a failure, the last list is used for this long before it is requested again.
_RETRY_SECONDS: Final = 15.0
_REQUEST_SECONDS: Final = 10.0
# The backend reports none. Source, for GPT-5 and newer: https://platform.openai.com/docs/models
_MAX_OUTPUT_TOKENS: Final = 128_000
_OFFICIAL_MEMBERS: Final = frozenset({"id", "object", "created", "owned_by"})


class ModelList:
    """The models of the account, with hidden ones, as dicts with an `id` and the members of the catalog."""

    def __init__(self, client: AsyncOpenAI, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._monotonic = monotonic
        self._models: Sequence[Mapping[str, Any]] | None = None
        self._account_id: str | None = None
        self._fresh_until = 0.0
        self._lock = anyio.Lock()

    @property
    def last(self) -> Sequence[Mapping[str, Any]] | None:
        """The last list, or None. Sends no request."""
        return self._models

    async def get(self) -> Sequence[Mapping[str, Any]]:
        """Return the models. Raises the error of the request if there is no list of this account yet."""
        async with self._lock:  # single-flight
            if self._models is None or not self._is_fresh():
                await self._refresh()
            assert self._models is not None
            return self._models

    def _is_fresh(self) -> bool:
        return self._monotonic() < self._fresh_until and self._account_id == self._current_account()

    def _current_account(self) -> str | None:
        login = self._client.credentials.ready()
        return self._account_id if login is None else login.account_id

    async def _refresh(self) -> None:
        try:
            page = await self._client.models.list(timeout=None if self._models is None else _REQUEST_SECONDS)
        except OpenAIError:
            if self._models is None or self._account_id != self._current_account():
                raise
            self._fresh_until = self._monotonic() + _RETRY_SECONDS
            return
        self._models = [model.to_dict() for model in page.data]
        self._account_id = self._current_account()
        self._fresh_until = self._monotonic() + _FRESH_SECONDS


async def list_models(request: Request) -> Response:
    """Respond to `GET /v1/models`. With `client_version`, as the Codex CLI sends it, respond with the catalog."""
    models = await request.app.state.models.get()
    if "client_version" in request.query_params:
        # The catalog has hidden models, too: the CLI reads their settings, and does not show them.
        return JSONResponse({"models": [_catalog_entry(model) for model in models]})
    entries = []
    for model in _listed(models):
        entries.append(_entry(model, model["id"]))
        if request.app.state.settings.lists_efforts:
            entries += [_entry(model, f"{model['id']}-{effort}") for effort in efforts_of(model)]
    return JSONResponse({"object": "list", "data": entries})


async def retrieve_model(request: Request) -> Response:
    """Respond to `GET /v1/models/{id}`. The ID may be one with an effort, also if these are not listed."""
    requested = request.path_params["model_id"]
    models = await request.app.state.models.get()
    for model in models:
        if requested == model["id"] or requested in (f"{model['id']}-{effort}" for effort in efforts_of(model)):
            return JSONResponse(_entry(model, requested))
    ids = [model["id"] for model in _listed(models)]
    similar = similar_model(requested, ids)
    raise ApiError(
        404,
        f"This account has no such model.{f' Did you mean {similar}?' if similar else ''} Available models: "
        f"{', '.join(ids) or 'none'}.",
        code="model_not_found",
        param="model",
    )


def _listed(models: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [model for model in models if model.get("visibility") != "hide"]


def _catalog_entry(model: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in model.items() if name not in _OFFICIAL_MEMBERS}


def _entry(model: Mapping[str, Any], model_id: str) -> dict[str, Any]:
    entry = {"id": model_id, "object": "model", "created": int(model["created"]), "owned_by": model["owned_by"]}
    if model.get("display_name"):
        entry["display_name"] = model["display_name"]
    window = model.get("context_window")
    if isinstance(window, int):
        entry |= {
            "context_length": window,
            "max_model_len": window,
            "max_output_tokens": min(window, _MAX_OUTPUT_TOKENS),
        }
    return entry
