"""The options of a model: `llm -m codex/<model> -o NAME VALUE`.

The efforts are those of the model, so a wrong one is refused before a request. Parameters of the Responses API that are
no option here are passed on, and the client refuses those that the backend does not accept. A value of the command line
is text: it is read as JSON if it is JSON.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal

import llm
from pydantic import ConfigDict, Field, create_model

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CodexOptions", "extra_parameters", "options_class", "request_parameters", "web_search_tool"]

_PASSED_ON: Final = ("parallel_tool_calls", "prompt_cache_key", "timeout")
_TIER_NAMES: Final = {"fast": "priority"}  # the name in ChatGPT → on the wire


class CodexOptions(llm.Options):
    """The options of all models."""

    model_config = ConfigDict(extra="allow")

    reasoning_summary: Literal["auto", "concise", "detailed", "none"] | None = Field(
        default=None, description="Reasoning summary, on standard error: auto (default), concise, detailed, none."
    )
    verbosity: Literal["low", "medium", "high"] | None = Field(
        default=None, description="Length of the response: low, medium or high."
    )
    service_tier: str | None = Field(
        default=None, description="Processing tier, such as fast (uses more of the plan) or flex."
    )
    json_object: bool | None = Field(
        default=None, description="Reply with a JSON object. The prompt must contain the word JSON."
    )
    image_detail: Literal["low", "high", "original", "auto"] | None = Field(
        default=None, description="Detail of image attachments: low, high, original, or auto (default)."
    )
    web_search: bool | None = Field(default=None, description="Let the model search the web.")
    web_search_live: bool | None = Field(
        default=None, description="Search with live access to the web, instead of the index."
    )
    web_search_context_size: Literal["low", "medium", "high"] | None = Field(
        default=None, description="Amount of search results that the model reads: low, medium or high."
    )
    prompt_cache_key: str | None = Field(
        default=None,
        min_length=1,
        description="Key that shares the prompt cache between conversations, such as several questions about one file. "
        "By default, each conversation has its own.",
    )
    parallel_tool_calls: bool | None = Field(
        default=None, description="Whether the model may call several tools at once (default: true)."
    )
    timeout: float | None = Field(default=None, gt=0, description="Seconds to wait for data of the backend.")
    model: str | None = Field(
        default=None, description="Send this model ID instead, for a model that the catalog does not list."
    )


@cache
def options_class(efforts: tuple[str, ...], default_effort: str | None) -> type[CodexOptions]:
    """Return the options of a model that accepts these reasoning efforts."""
    names = ", ".join(f"{each} (default)" if each == default_effort else each for each in efforts)
    field = Field(default=None, description=f"Reasoning effort: {names}.")
    effort_type: Any = Literal[efforts]
    options: type[CodexOptions] = create_model(
        "Options", __base__=CodexOptions, reasoning_effort=(effort_type | None, field)
    )
    return options


def request_parameters(options: Any, *, schema: dict[str, Any] | None, hide_reasoning: bool) -> dict[str, Any]:
    """Return the parameters of `responses.create` for the options and the schema, without the input and the tools."""
    parameters: dict[str, Any] = {name: value for name in _PASSED_ON if (value := getattr(options, name)) is not None}
    if options.service_tier is not None:
        parameters["service_tier"] = _TIER_NAMES.get(options.service_tier, options.service_tier)
    summary = None if hide_reasoning or options.reasoning_summary == "none" else options.reasoning_summary or "auto"
    reasoning = _given({"effort": options.reasoning_effort, "summary": summary})
    if reasoning:
        parameters["reasoning"] = reasoning
    text_format: dict[str, Any] | None = {"type": "json_object"} if options.json_object else None
    if schema:
        # Schemas of llm may have optional members, which strict schemas must not have.
        text_format = {"type": "json_schema", "name": "output", "schema": schema, "strict": False}
    text = _given({"verbosity": options.verbosity, "format": text_format})
    if text:
        parameters["text"] = text
    return parameters


def web_search_tool(options: Any) -> dict[str, Any] | None:
    """Return the tool of the option `web_search`, or None."""
    if not options.web_search:
        return None
    settings = {
        "external_web_access": options.web_search_live,
        "search_context_size": options.web_search_context_size,
    }
    return {"type": "web_search", **_given(settings)}


def extra_parameters(options: Any) -> dict[str, Any]:
    """Return the parameters that are no options here."""
    return {name: _from_text(value) for name, value in (options.model_extra or {}).items() if value is not None}


def _from_text(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            pass
    return value


def _given(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
