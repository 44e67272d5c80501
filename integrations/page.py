"""Write what docs/integrations.md takes from other files: the recipes and the tables of results.

A recipe is the file `examples/integrations/with_<name>.py` of the library `<name>` (libraries.py). Without the prefix,
a recipe that runs as a script would import itself instead of the library. The rules:

- It runs alone, logged in or on the simulator, and has at most 25 lines that are not blank.
- It shows a tool call with `reasoning.effort` set, where the library has both.
- The tests of the library use it through the fixture `recipe`: its global variables, and what it printed.
- The page shows exactly the file, in the section of the library. To add a section, write its heading, its text, the
  line `<!-- examples/integrations/with_<name>.py -->` and an empty line, and run `python -m integrations --page`.

The tables lie between `<!-- results: libraries -->` (or `clients`, `programs`) and `<!-- end of results -->`. They show
results.json, which `make integrations` updates for the libraries that it tests and that do not fail. Every cell of a
library on our client is tested or has a reason (`NOT_APPLICABLE`), and a fault names the issue of the library. After a
merge conflict in the page, take one side and run `python -m integrations --page`.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict

from .environments import ROOT
from .libraries import CLIENTS_ON_OUR_SIMULATOR, LIBRARIES_ON_OUR_CLIENT, PROGRAMS_ON_OUR_SERVER
from .table import Row, render_notes, render_table

__all__ = ["PAGE", "RECIPES", "RESULTS", "load_results", "save_results", "updated_page"]

PAGE = ROOT / "docs" / "integrations.md"
RECIPES = ROOT / "examples" / "integrations"
RESULTS = ROOT / "integrations" / "results.json"
_RECIPE = re.compile(
    r"^<!-- examples/integrations/with_(?P<name>\w+)\.py -->\n(?:\n*```python\n.*?^```\n)?",
    re.MULTILINE | re.DOTALL,
)
_TABLE = re.compile(r"^<!-- results: (?P<group>\w+) -->\n.*?^<!-- end of results -->\n", re.MULTILINE | re.DOTALL)
_ISSUE = re.compile(r"\b([\w.-]+/[\w.-]+)#(\d+)")
_GROUPS = {
    "libraries": LIBRARIES_ON_OUR_CLIENT,
    "clients": CLIENTS_ON_OUR_SIMULATOR,
    "programs": PROGRAMS_ON_OUR_SERVER,
}
_SAVED = ("version", "cells", "notes")


def load_results() -> dict[str, Row]:
    """Return the saved results by the name of the library."""
    saved = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    return {name: Row(name, **{**values, "notes": tuple(values["notes"])}) for name, values in saved.items()}


def save_results(rows: list[Row]) -> None:
    """Update the saved results with the rows of libraries that were tested and did not fail."""
    results = load_results() | {row.name: row for row in rows if row.cells and not row.problem}
    known = {library.name for libraries in _GROUPS.values() for library in libraries}
    saved = {
        name: {key: value for key, value in asdict(row).items() if key in _SAVED}
        for name, row in sorted(results.items())
        if name in known
    }
    RESULTS.write_text(json.dumps(saved, indent=2) + "\n", encoding="utf-8")


def updated_page(text: str) -> str:
    """Return the page with the recipes and the tables as they are now."""
    text = _RECIPE.sub(lambda match: _recipe(match["name"]), text)
    links = _links(text)
    results = load_results()

    def table(match: re.Match[str]) -> str:
        rows = [results[library.name] for library in _GROUPS[match["group"]] if library.name in results]
        notes = _ISSUE.sub(r"[\g<0>](https://github.com/\1/issues/\2)", render_notes(rows, all_notes=False))
        parts = [f"<!-- results: {match['group']} -->", render_table(rows, links), notes, "<!-- end of results -->"]
        return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"

    return _TABLE.sub(table, text)


def _recipe(name: str) -> str:
    code = (RECIPES / f"with_{name}.py").read_text(encoding="utf-8")
    return f"<!-- examples/integrations/with_{name}.py -->\n\n```python\n{code}```\n"


def _links(text: str) -> dict[str, str]:
    """Return the anchor of the section of each recipe."""
    links = {}
    heading = ""
    for line in text.splitlines():
        if re.match("##+ ", line):
            heading = line.lstrip("# ")
        elif match := _RECIPE.match(line + "\n"):
            links[match["name"]] = "#" + re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-")
    return links
