"""Read scripted turns from a YAML or JSON file, for `codex-backend simulate --script` and `Simulator.script_file`.

The file is a list of turns. A turn is a text, or a mapping with one of the keys that `_CONTENTS` lists, and any of the
keys that `_OPTIONS` lists:

    - Hello
    - text: It rains.
      reasoning: The user asks about the weather.
    - calls:
        - {name: get_weather, arguments: {city: Paris}}
    - fault: overloaded
      times: 2
    - text: A long story
      cut_after: 6

JSON is parsed as YAML, of which it is a subset. An error names the file, the number of the turn and its line.
"""

from __future__ import annotations

import json
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .faults.fault_syntax import parse_fault
from .turns import Turn

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["read_script"]

_MAX_FILE_BYTES: Final = 10 * 2**20
_MAX_TIMES: Final = 10_000
_MAX_SECONDS: Final = 31 * 24 * 3600
_WEEK: Final = timedelta(days=7)
_HOURS: Final = timedelta(hours=5)


class _ScriptError(ValueError):
    """A turn of a script is invalid. The message does not contain the file and the line yet."""


def read_script(path: str | Path) -> list[Turn]:
    """Return the turns of a script. Raises `ValueError` if the file cannot be read or has an invalid turn."""
    import yaml

    file = Path(path)
    try:
        data = file.read_bytes()
        if len(data) > _MAX_FILE_BYTES:
            raise ValueError(f"{file} is longer than {_MAX_FILE_BYTES:,} bytes.")
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise ValueError(f"Cannot read the script {file}: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"The script {file} is not UTF-8: {error.reason} at byte {error.start}.") from error
    if text.lstrip()[:1] in ("[", "{"):
        text = text.expandtabs()  # JSON may be indented with tabs, YAML may not
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark is not None else "the file"
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        raise ValueError(f"{file}, {where}: invalid YAML or JSON: {problem}.") from error
    except RecursionError as error:
        raise ValueError(f"{file}: invalid YAML or JSON: it has too many levels.") from error
    if not isinstance(value, list) or not value or node is None:
        raise ValueError(f'{file}: a script is a list of turns. Example: ["Hello", {{"fault": "overloaded"}}]')
    turns: list[Turn] = []
    for number, (entry, entry_node) in enumerate(zip(value, node.value, strict=True), 1):
        try:
            turns += _read_turn(entry)
        except ValueError as error:
            line = entry_node.start_mark.line + 1
            raise ValueError(f"{file}, turn {number} (line {line}): {error}") from error
    return turns


def _read_turn(entry: Any) -> list[Turn]:
    if isinstance(entry, str):
        return [Turn.text(entry)]
    if not isinstance(entry, dict):
        raise _ScriptError(f"A turn is a text or a mapping, not {_describe(entry)}. Put texts such as dates in quotes.")
    for key in entry:
        if key not in _CONTENTS and key not in _OPTIONS:
            matches = get_close_matches(str(key), [*_CONTENTS, *_OPTIONS], n=1)
            remedy = (
                f"Did you mean `{matches[0]}`?" if matches else f"Use {_names(_CONTENTS)}, with {_names(_OPTIONS)}."
            )
            raise _ScriptError(f"Unknown key `{key}`. {remedy}")
    contents = [key for key in _CONTENTS if key in entry]
    # A text may accompany a search or an image.
    main = next((key for key in contents if key != "text"), "text")
    if not contents or set(contents) - {main, "text"} or ("text" in contents and main not in _WITH_TEXT):
        found = " and ".join(f"`{key}`" for key in contents) or "none"
        raise _ScriptError(f"A turn has exactly one of {_names(_CONTENTS)}; found: {found}.")
    options = {name: entry[name] for name in _OPTIONS if name in entry}
    if "reasoning" in options and main != "text":
        raise _ScriptError("`reasoning` requires `text`.")
    turn = _CONTENTS[main](entry)
    if "cut_after" in options:
        turn = turn.cut_after_events(_integer(options["cut_after"], "cut_after", minimum=0))
    if "delay" in options:
        turn = turn.delayed(_number(options["delay"], "delay"))
    return [turn] * _integer(options.get("times", 1), "times", minimum=1)


# Each function takes the mapping of a turn.


def _text(entry: dict[str, Any]) -> Turn:
    reasoning = _string(entry["reasoning"], "reasoning") if "reasoning" in entry else None
    return Turn.text(_string(entry["text"], "text"), reasoning=reasoning)


def _calls(entry: dict[str, Any]) -> Turn:
    calls = entry["calls"]
    if not isinstance(calls, list) or not calls:
        raise _ScriptError("`calls` is a list of `{name: ..., arguments: {...}}`.")
    pairs: list[tuple[str, Any]] = []
    for call in calls:
        _check_keys(call, "calls", required=("name",), optional=("arguments",))
        arguments = call.get("arguments", {})
        if not isinstance(arguments, (dict, str)):
            raise _ScriptError(f"The `arguments` of `calls` are a mapping or JSON text, not {_describe(arguments)}.")
        try:
            json.dumps(arguments)
        except (TypeError, ValueError) as error:
            raise _ScriptError(f"The `arguments` of `calls` are not JSON: {error}. Put dates in quotes.") from error
        pairs.append((_string(call["name"], "name"), arguments))
    return Turn.calls(pairs)


def _web_search(entry: dict[str, Any]) -> Turn:
    search = entry["web_search"]
    if isinstance(search, str):
        search = {"query": search}
    _check_keys(search, "web_search", required=("query",), optional=("sources",))
    sources = search.get("sources", {"https://example.com/": "Example"})
    if not isinstance(sources, dict):
        raise _ScriptError(f"`sources` maps URLs to titles, but is {_describe(sources)}.")
    pages = {_string(url, "sources"): _string(title, "sources") for url, title in sources.items()}
    text = _string(entry.get("text", "This is a simulated search result."), "text")
    return Turn.web_search(_string(search["query"], "query"), text, pages)


def _image(entry: dict[str, Any]) -> Turn:
    return Turn.image(_string(entry["image"], "image"), _string(entry.get("text", ""), "text"))


def _usage_limit(entry: dict[str, Any]) -> Turn:
    limit = {} if entry["usage_limit"] is True else entry["usage_limit"]
    _check_keys(limit, "usage_limit", optional=("plan", "resets_in", "window"))
    plan = _string(limit["plan"], "plan") if "plan" in limit else None
    resets_in = timedelta(seconds=_number(limit.get("resets_in", 3600), "resets_in"))
    window = limit.get("window", "5h")
    if window not in ("5h", "week"):
        raise _ScriptError(f"`window` is 5h or week, not {_describe(window)}.")
    return Turn.usage_limit(plan, resets_in, window=_WEEK if window == "week" else _HOURS)


def _fault(entry: dict[str, Any]) -> Turn:
    fault = parse_fault(_string(entry["fault"], "fault"))
    if not isinstance(fault.turn, Turn) or fault.has_explicit_route or fault.count is not None:
        raise _ScriptError(
            "A `fault` of a script has no route and no count. Use --fail for routes, and `times` to repeat."
        )
    return fault.turn


_CONTENTS: Final[dict[str, Callable[[dict[str, Any]], Turn]]] = {
    "text": _text,
    "calls": _calls,
    "web_search": _web_search,
    "image": _image,
    "usage_limit": _usage_limit,
    "fault": _fault,
}
_WITH_TEXT: Final = ("text", "web_search", "image")
_OPTIONS: Final = ("reasoning", "cut_after", "delay", "times")


def _check_keys(value: Any, name: str, *, required: tuple[str, ...] = (), optional: tuple[str, ...] = ()) -> None:
    if not isinstance(value, dict):
        raise _ScriptError(f"`{name}` has {_names((*required, *optional))}, but is {_describe(value)}.")
    for key in value:
        if key not in (*required, *optional):
            raise _ScriptError(f"Unknown key `{key}` of `{name}`. Use {_names((*required, *optional))}.")
    for key in required:
        if key not in value:
            raise _ScriptError(f"`{name}` has no `{key}`.")


def _string(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise _ScriptError(f"`{name}` is a text, not {_describe(value)}. Put it in quotes.")
    return value


def _integer(value: Any, name: str, *, minimum: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= _MAX_TIMES:
        raise _ScriptError(f"`{name}` is a whole number from {minimum} to {_MAX_TIMES:,}, not {_describe(value)}.")
    return value


def _number(value: Any, name: str) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= _MAX_SECONDS:
        raise _ScriptError(f"`{name}` is a number of seconds from 0 to {_MAX_SECONDS:,}, not {_describe(value)}.")
    return value


def _names(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _describe(value: Any) -> str:
    return f"{value!r:.60}"
