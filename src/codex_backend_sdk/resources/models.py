"""`client.models`: the model catalog of the account, as official `Model` objects with more members.

The requests go to the official paths `/models` and `/models/{id}`. `_request` turns both into a request for the whole
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
    """A reasoning effort that a model accepts in `reasoning={"effort": ...}`, with its description."""

    effort: str
    description: str | None = None


class Model(OfficialModel):
    """A model of the catalog. Members of the backend that are not listed here are attributes as well.

    `context_window` counts tokens. `visibility` is `list` for the models that the backend offers in a picker, and
    `hide` for the others. `priority` is the position in the picker, the lowest first.
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
    """The models that this account can use."""

    def list(  # type: ignore[override]  # it returns a page of a subclass of the official Model
        self,
        *,
        extra_headers: Headers | None = None,
        extra_query: Query | None = None,
        extra_body: Body | None = None,
        timeout: float | httpx2.Timeout | NotGiven | None = NOT_GIVEN,
    ) -> SyncPage[Model]:
        """Request the model catalog and return it in the order of `priority`."""
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

        Raises ModelNotAvailableError (an `openai.NotFoundError` and a `LookupError`) when the catalog does not have it,
        and ValueError when the id is empty.
        """
        options = make_request_options(
            extra_headers=extra_headers, extra_query=extra_query, extra_body=extra_body, timeout=timeout
        )
        return self._get(_path_of(model), cast_to=Model, options=options)


class AsyncModels(OfficialAsyncModels):
    """The models that this account can use."""

    def list(  # type: ignore[override]  # it returns a page of a subclass of the official Model
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
        timeout: float | httpx2.Timeout | NotGiven | None = NOT_GIVEN,  # noqa: ASYNC109 - the official signature
    ) -> Model:
        """Request one model.

        Raises ModelNotAvailableError (an `openai.NotFoundError` and a `LookupError`) when the catalog does not have it,
        and ValueError when the id is empty.
        """
        options = make_request_options(
            extra_headers=extra_headers, extra_query=extra_query, extra_body=extra_body, timeout=timeout
        )
        return await self._get(_path_of(model), cast_to=Model, options=options)


def _path_of(model: str) -> str:
    if not model:
        raise ValueError(f"Expected a non-empty value for `model` but received {model!r}")
    return f"/models/{quote(model, safe='')}"
