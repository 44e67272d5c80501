"""How a request fits the model that it names, by the catalogue of the account.

Members of an entry: Codex CLI, protocol/src/openai_models.rs. One row below for each thing that can be wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .._coerce import count, items, mapping
from .explanation import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from .explanation import TokenEstimate

__all__ = ["context_window", "fit"]

_MODALITIES: Final = {"input_image": "image", "input_audio": "audio"}
# What a model takes when the catalogue does not say.
_USUAL_MODALITIES: Final = ("text", "image")
_WINDOW_PERCENT: Final = 95


class _Fit(NamedTuple):
    body: Mapping[str, Any]
    entry: Mapping[str, Any]
    tokens: TokenEstimate

    def given(self, *path: str) -> Any:
        """Return a member of the body, None when it is not there."""
        found: Any = self.body
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        return found

    @property
    def model(self) -> str:
        return f"`{self.entry.get('id')}`"


def fit(
    body: Mapping[str, Any], catalogue: Sequence[Mapping[str, Any]] | None, *, tokens: TokenEstimate
) -> Iterator[Finding]:
    """Yield what speaks against this model. `catalogue` has the official models in order, None when it is not known."""
    if catalogue is None:
        yield Finding(
            level="note",
            what="Whether the model takes all this is not known.",
            why="This client has not seen the catalogue of the account yet.",
            remedy="Call `client.models.list()` first.",
        )
        return
    entry = _entry(catalogue, body.get("model"))
    if entry is None:
        offered = [str(model["id"]) for model in catalogue if model.get("visibility") != "hide"]
        yield _warning(
            f"The model {body.get('model')!r} is not in the catalogue of this account.",
            "The backend answers 400 to a model that an account may not use.",
            f"Use one of: {', '.join(offered)}." if offered else None,
        )
        return
    for look in _LOOKS:
        yield from look(_Fit(body, entry, tokens))


def context_window(model: object, catalogue: Sequence[Mapping[str, Any]] | None) -> int | None:
    """Return the context window of a model in tokens, None when it is not known."""
    return count((_entry(catalogue or (), model) or {}).get("context_window"))


def _entry(catalogue: Sequence[Mapping[str, Any]], model: object) -> Mapping[str, Any] | None:
    return next((entry for entry in catalogue if entry.get("id") == model), None)


def _effort(it: _Fit) -> Iterator[Finding]:
    effort = it.given("reasoning", "effort")
    levels = [mapping(level).get("effort") for level in items(it.entry.get("supported_reasoning_levels"))]
    if not isinstance(effort, str) or not levels:  # the Codex CLI sends a decimal effort as a number
        return
    if effort not in levels:
        yield _warning(
            f"{it.model} has no reasoning effort {effort!r}.",
            "The backend answers 400 `unsupported_value`.",
            f"Use one of: {', '.join(map(str, levels))}.",
        )
    elif effort == "ultra":
        # Codex CLI: it is the name of a way of working, for which another effort is sent.
        instead = it.entry.get("multi_agent_reasoning_effort") or "max"
        yield _warning(
            "The reasoning effort `ultra` is a mode of the Codex CLI.",
            f"The Codex CLI itself sends {instead!r} for it.",
            f"Pass `reasoning={{'effort': {instead!r}}}`.",
        )


def _summary(it: _Fit) -> Iterator[Finding]:
    if it.given("reasoning", "summary") and it.entry.get("supports_reasoning_summary_parameter") is False:
        yield _warning(f"{it.model} gives no reasoning summaries.", "", "Leave `reasoning['summary']` out.")


def _verbosity(it: _Fit) -> Iterator[Finding]:
    if it.given("text", "verbosity") and it.entry.get("support_verbosity") is False:
        yield _warning(f"{it.model} takes no verbosity.", "", "Leave `text['verbosity']` out.")


def _service_tier(it: _Fit) -> Iterator[Finding]:
    tier, tiers = it.given("service_tier"), it.entry.get("service_tiers")
    names = [mapping(each).get("id") for each in items(tiers)]
    # `flex` is sent by the Codex CLI although no catalogue lists it.
    if tier is not None and tiers is not None and tier != "flex" and tier not in names:
        yield _warning(
            f"{it.model} has no service tier {tier!r}.",
            "",
            f"Use one of: {', '.join(map(str, names))}." if names else "Leave `service_tier` out.",
        )


def _parallel_calls(it: _Fit) -> Iterator[Finding]:
    if it.given("parallel_tool_calls") and it.entry.get("supports_parallel_tool_calls") is False:
        yield _warning(f"{it.model} calls one tool at a time.", "", "Leave `parallel_tool_calls` out.")


def _modalities(it: _Fit) -> Iterator[Finding]:
    takes = items(it.entry.get("input_modalities")) or _USUAL_MODALITIES
    given = {_MODALITIES.get(str(part.get("type"))) for part in _parts(it.body)} - {None}
    for kind in sorted(str(kind) for kind in given if kind not in takes):
        yield _warning(
            f"{it.model} does not take {kind}.", f"It takes {', '.join(map(str, takes))}.", "Use another model."
        )
    wants_original = any(part.get("detail") == "original" for part in _parts(it.body))
    if wants_original and it.entry.get("supports_image_detail_original") is False:
        yield _warning(f"{it.model} takes no image in its original detail.", "", "Use the detail `high`.")


def _window(it: _Fit) -> Iterator[Finding]:
    window = count(it.entry.get("context_window"))
    if window is None:
        return
    percent = count(it.entry.get("effective_context_window_percent")) or _WINDOW_PERCENT
    usable = window * percent // 100
    if it.tokens.high <= usable:
        return
    most = count(it.entry.get("max_context_window"))
    more = f" The catalogue speaks of {most:,} at most." if most is not None and most > window else ""
    yield Finding(
        level="warning" if it.tokens.likely > usable else "note",
        what=f"The input {_how_it_fits(it.tokens, usable)} into the context window of {it.model}.",
        why=f"It is {it.tokens}; the window is {window:,}, of which the Codex CLI uses {usable:,}.{more}",
        remedy="Shorten the input, or compact it with `client.responses.compact(...)`.",
    )


def _how_it_fits(tokens: TokenEstimate, usable: int) -> str:
    if tokens.low > usable:
        return "does not fit"
    return "is not likely to fit" if tokens.likely > usable else "may not fit"


_LOOKS: Final[tuple[Callable[[_Fit], Iterator[Finding]], ...]] = (
    _effort,
    _summary,
    _verbosity,
    _service_tier,
    _parallel_calls,
    _modalities,
    _window,
)


def _parts(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for item in items(body.get("input")):
        for name in ("content", "output"):
            yield from map(mapping, items(mapping(item).get(name)))


def _warning(what: str, why: str, remedy: str | None) -> Finding:
    return Finding(level="warning", what=what, why=why, remedy=remedy)
