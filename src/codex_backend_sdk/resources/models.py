"""Implement `client.models`: the model catalog of the account, as openai's `Model` with additional fields.

The methods request openai's paths `/models` and `/models/{id}`. `_request` turns both into a request for the whole
catalog, because the backend has no route for a single model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from openai import NOT_GIVEN, BaseModel, NotGiven
from openai.pagination import AsyncPage, SyncPage
from openai.resources.models import AsyncModels as OfficialAsyncModels
from openai.resources.models import Models as OfficialModels
from openai.types import Model as OfficialModel

from .._upstream import make_request_options

if TYPE_CHECKING:
    import httpx2
    from openai._base_client import AsyncPaginator
    from openai._types import Body, Headers, Query

__all__ = ["AsyncModels", "Model", "Models", "ReasoningLevel"]


class ReasoningLevel(BaseModel):
    """A reasoning effort that a model accepts in `reasoning={"effort": ...}`."""

    effort: str
    description: str | None = None


class Model(OfficialModel):
    """A model of the catalog. Other fields that the backend sends are attributes, too.

    `context_window` is a number of tokens. `visibility` is `list` for models that the Codex CLI shows in its picker,
    and `hide` for others. `priority` is the position in the picker, the lowest first.
    """

    display_name: str | None = None
    description: str | None = None
    context_window: int | None = None
    max_context_window: int | None = None
    default_reasoning_level: str | None = None
    supported_reasoning_levels: list[ReasoningLevel] = []
    input_modalities: list[str] = []
    visibility: str | None = None
    priority: int | None = None


class Models(OfficialModels):
    """The models that the account can use."""

    def list(  # type: ignore[override]  # it returns a page of a subclass of openai's Model
        self,
        *,
        extra_headers: Headers | None = None,
        extra_query: Query | None = None,
        extra_body: Body | None = None,
        timeout: float | httpx2.Timeout | NotGiven | None = NOT_GIVEN,
    ) -> SyncPage[Model]:
        """Request the model catalog and return it, ordered by `priority`."""
        options = make_request_options(
            extra_headers=extra_headers, extra_query=extra_query, extra_body=extra_body, timeout=timeout
        )
        return self._get_api_list("/models", page=SyncPage[Model], model=Model, options=options)

    def retrieve(
        self,
        model: str,
        *,
        extra_headers: Headers | None = None,
        extra_query: Query | None = None,
        extra_body: Body | None = None,
        timeout: float | httpx2.Timeout | NotGiven | None = NOT_GIVEN,
    ) -> Model:
        """Request one model.

        Raises ModelNotAvailableError (an `openai.NotFoundError` and a `LookupError`) if the catalog does not have it,
        and ValueError if the ID is empty.
        """
        options = make_request_options(
            extra_headers=extra_headers, extra_query=extra_query, extra_body=extra_body, timeout=timeout
        )
        return self._get(_model_path(model), cast_to=Model, options=options)


class AsyncModels(OfficialAsyncModels):
    """The models that the account can use."""

    def list(  # type: ignore[override]  # it returns a page of a subclass of openai's Model
        self,
        *,
        extra_headers: Headers | None = None,
        extra_query: Query | None = None,
        extra_body: Body | None = None,
        timeout: float | httpx2.Timeout | NotGiven | None = NOT_GIVEN,
    ) -> AsyncPaginator[Model, AsyncPage[Model]]:
        """Request the model catalog: `await` this for a page, or iterate over it with `async for`."""
        options = make_request_options(
            extra_headers=extra_headers, extra_query=extra_query, extra_body=extra_body, timeout=timeout
        )
        return self._get_api_list("/models", page=AsyncPage[Model], model=Model, options=options)

    async def retrieve(
        self,
        model: str,
        *,
        extra_headers: Headers | None = None,
        extra_query: Query | None = None,
        extra_body: Body | None = None,
        timeout: float | httpx2.Timeout | NotGiven | None = NOT_GIVEN,  # noqa: ASYNC109 - openai's signature
    ) -> Model:
        """Request one model.

        Raises ModelNotAvailableError (an `openai.NotFoundError` and a `LookupError`) if the catalog does not have it,
        and ValueError if the ID is empty.
        """
        options = make_request_options(
            extra_headers=extra_headers, extra_query=extra_query, extra_body=extra_body, timeout=timeout
        )
        return await self._get(_model_path(model), cast_to=Model, options=options)


def _model_path(model: str) -> str:
    if not model:
        raise ValueError(f"Expected a non-empty value for `model` but received {model!r}. Pass a model ID.")
    return f"/models/{quote(model, safe='')}"
