"""The models of `llm`, sync and async: build a request, send it with the client, and translate the response.

One client of each kind serves all models of the process. Its connections are kept for the next prompt. The catalog is
requested at most once a day, after a response, and kept for the next start of `llm`.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import llm

from .._catalog import EFFORTS
from .._constants import AUTO_MODEL, DEFAULT_MODEL
from .._errors.advice import Interface, replace_message
from ..cli.app import error_message
from ..cli.known_models import is_outdated, known_models, remember_models
from .llm_input import attachment_types, input_items
from .llm_options import extra_parameters, options_class, request_parameters, web_search_tool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from llm.parts import StreamEvent

    from .. import AsyncOpenAI, OpenAI
    from .llm_output import ResponseTranslator

__all__ = ["AsyncCodexModel", "CodexModel", "async_client", "catalog_models", "sync_client"]

_PREFIX: Final = "codex/"
_CATALOG_TIMEOUT_SECONDS: Final = 5.0


@cache
def sync_client() -> OpenAI:
    """Return the client of the process."""
    from .. import OpenAI

    return OpenAI()


@cache
def async_client() -> AsyncOpenAI:
    """Return the async client of the process."""
    from .. import AsyncOpenAI

    return AsyncOpenAI()


def catalog_models() -> list[Mapping[str, Any]]:
    """Return the models, each with its `id` and what the catalog says about it.

    They are the models of the last catalog, with those that the backend hides from pickers, the default model, and
    `auto`, which is the first model of the catalog at the time of the request. Reads a file and sends no request.
    """
    models: dict[str, Mapping[str, Any]] = {model["id"]: model for model in known_models()}
    for name in (DEFAULT_MODEL, AUTO_MODEL):
        models.setdefault(name, {"id": name})
    return [*models.values()]


class _SharedModel:
    needs_key = None
    can_stream = True
    supports_schema = True
    supports_tools = True

    def __init__(self, model: Mapping[str, Any]) -> None:
        self.model_name = str(model["id"])
        self.model_id = _PREFIX + self.model_name
        levels = [level["effort"] for level in model.get("supported_reasoning_levels") or ()]
        # The catalog does not list `none`, which some models accept.
        efforts = tuple(each for each in EFFORTS if each in {*levels, "none"}) if levels else EFFORTS
        self.Options = options_class(efforts, model.get("default_reasoning_level"))
        self.attachment_types = attachment_types(model.get("input_modalities") or ())

    def __str__(self) -> str:
        return f"ChatGPT plan: {self.model_id}"

    @property
    def supported_server_side_tools(self) -> tuple[type, ...]:
        """The web search of llm, and any other tool of the backend as `ServerSideTool({"type": ...})`."""
        from llm.default_plugins.openai_models import WebSearch

        return (WebSearch, llm.ServerSideTool)

    def _request(self, prompt: Any, *, account_id: str | None) -> dict[str, Any]:
        """Return the parameters of `responses.create`."""
        options = prompt.options
        parameters = request_parameters(options, schema=prompt.schema, hide_reasoning=prompt.hide_reasoning)
        parameters["model"] = options.model or self.model_name
        parameters["input"] = input_items(
            prompt.messages,
            model=_encrypting_model(parameters["model"]),
            account_id=account_id,
            image_detail=options.image_detail,
        )
        server_tools = [tool for tool in prompt.tools if isinstance(tool, llm.ServerSideTool)]
        tools = [_tool(tool, self) for tool in prompt.tools]
        search = web_search_tool(options)
        if search is not None and not any(tool.get("type") == "web_search" for tool in tools):
            tools.append(search)
        if tools:
            parameters["tools"] = tools
        for name, value in extra_parameters(options).items():
            parameters.setdefault(name, value)
        for tool in server_tools:
            tool.prepare_request(self, parameters)
        return parameters

    def _translator(self, response: Any, request: dict[str, Any], account_id: str | None) -> ResponseTranslator:
        from .llm_output import ResponseTranslator

        return ResponseTranslator(response, model=_encrypting_model(request["model"]), account_id=account_id)


class CodexModel(_SharedModel, llm.Model):
    """A model of the ChatGPT plan."""

    def execute(self, prompt: Any, stream: bool, response: Any, conversation: Any = None) -> Iterator[StreamEvent]:
        """Send the prompt with its messages, and yield the events of the response.

        Raises the errors of `OpenAI.responses.create`, and `llm.ModelError` for an incomplete response.
        """
        from .. import InvalidEncryptedContentError

        with _advice_for_llm():
            client = sync_client()
            account_id = client.account().account_id
            request = self._request(prompt, account_id=account_id)
            result: Any  # a stream or a response
            try:
                result = client.responses.create(**request, stream=stream)
            except InvalidEncryptedContentError:
                result = client.responses.create(**_without_reasoning(request), stream=stream)
            translator = self._translator(response, request, account_id)
            if stream:
                with result as events:
                    for event in events:
                        yield from translator.events(event)
            else:
                yield from translator.response_events(result)
            if is_outdated():
                _keep_catalog(client)


class AsyncCodexModel(_SharedModel, llm.AsyncModel):
    """A model of the ChatGPT plan, for async programs."""

    async def execute(
        self, prompt: Any, stream: bool, response: Any, conversation: Any = None
    ) -> AsyncIterator[StreamEvent]:
        """Send the prompt with its messages, and yield the events of the response. Raises as `CodexModel.execute`."""
        from .. import InvalidEncryptedContentError

        with _advice_for_llm():
            client = async_client()
            account_id = (await client.account()).account_id
            request = self._request(prompt, account_id=account_id)
            result: Any  # a stream or a response
            try:
                result = await client.responses.create(**request, stream=stream)
            except InvalidEncryptedContentError:
                result = await client.responses.create(**_without_reasoning(request), stream=stream)
            translator = self._translator(response, request, account_id)
            if stream:
                async with result as events:
                    async for event in events:
                        for each in translator.events(event):
                            yield each
            else:
                for each in translator.response_events(result):
                    yield each
            if is_outdated():
                await _keep_catalog_async(client)


@contextmanager
def _advice_for_llm() -> Iterator[None]:
    """Rewrite the messages of errors: their advice then names the options and the commands of llm."""
    import openai

    try:
        yield
    except (openai.OpenAIError, TypeError, ValueError) as error:
        replace_message(error, error_message(error, Interface.LLM))
        raise


def _tool(tool: Any, model: _SharedModel) -> dict[str, Any]:
    if isinstance(tool, llm.ServerSideTool):
        return dict(tool.tool_spec(model))
    # Functions of llm may have optional arguments, which strict functions must not have.
    parameters = tool.input_schema or {"type": "object", "properties": {}}
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description or None,
        "parameters": parameters,
        "strict": False,
    }


def _encrypting_model(model: str) -> str | None:
    """Return the model that reasoning is encrypted for, or None if only the response names it."""
    return None if model == AUTO_MODEL else model


def _without_reasoning(request: dict[str, Any]) -> dict[str, Any]:
    from .. import history

    return {**request, "input": history.without_reasoning(request["input"])}


def _keep_catalog(client: OpenAI) -> None:
    """Keep the catalog for the next start. A failure does no harm: the next prompt tries again."""
    import openai

    with suppress(openai.OpenAIError):
        remember_models(client.with_options(max_retries=0).models.list(timeout=_CATALOG_TIMEOUT_SECONDS).data)


async def _keep_catalog_async(client: AsyncOpenAI) -> None:
    import openai

    with suppress(openai.OpenAIError):
        page = await client.with_options(max_retries=0).models.list(timeout=_CATALOG_TIMEOUT_SECONDS)
        remember_models(page.data)
