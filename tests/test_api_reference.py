"""Test the pages of the API reference: they have all public names, and each name has a docstring."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections import Counter
from pathlib import Path

import pytest

from codex_backend_sdk import _public, types

PAGES = sorted((Path(__file__).parents[1] / "docs" / "reference").glob("*.md"))
# Its modules import libraries that are not installed here: tests/test_integrations.py tests the page.
INTEGRATIONS = "integrations.md"
PUBLIC = [
    f"{package}.{name}" for package, modules in _public.PUBLIC_NAMES.items() for name in sum(modules.values(), ())
]


def directives(page: Path) -> list[str]:
    """Return the names that the page documents."""
    return re.findall(r"^::: (\S+)$", page.read_text(encoding="utf-8"), re.MULTILINE)


DOCUMENTED = [name for page in PAGES if page.name != INTEGRATIONS for name in directives(page)]


def test_reference_has_all_public_names() -> None:
    # A name that can be imported from two packages is documented once.
    documented = {id(pkgutil.resolve_name(name)) for name in DOCUMENTED}
    missing = [name for name in PUBLIC if id(pkgutil.resolve_name(name)) not in documented]
    assert not missing, "add them to a page of docs/reference"


def test_reference_has_no_name_twice() -> None:
    counts = Counter(id(pkgutil.resolve_name(name)) for name in DOCUMENTED)
    assert not [name for name in DOCUMENTED if counts[id(pkgutil.resolve_name(name))] > 1]


@pytest.mark.parametrize("name", sorted({*PUBLIC, *DOCUMENTED}))
def test_public_name_has_a_docstring(name: str) -> None:
    value = pkgutil.resolve_name(name)
    inherited = {base.__doc__ for base in getattr(value, "__mro__", ())[1:]}
    assert value.__doc__
    assert value.__doc__ not in inherited


def test_types_module_holds_public_names_only() -> None:
    assert set(types.__all__) <= set(_public.PUBLIC_NAMES["codex_backend_sdk"]["types"])


def test_overview_links_to_all_pages() -> None:
    overview = next(page for page in PAGES if page.name == "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\]\((\w+\.md)\)", overview)) == {page.name for page in PAGES} - {"README.md"}


@pytest.mark.parametrize("package", sorted(_public.PUBLIC_NAMES))
def test_public_package_has_a_docstring(package: str) -> None:
    assert importlib.import_module(package).__doc__
