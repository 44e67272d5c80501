"""Test the model catalog and its cache."""

from __future__ import annotations

from typing import Any

import pytest

from codex_backend_sdk._catalog import (
    CatalogCache,
    efforts_of,
    find_model,
    first_listed_id,
    similar_model,
    to_official_list,
)
from codex_backend_sdk.types import Login, Secret

CATALOG = {
    "models": [
        {"slug": "late", "priority": 9, "display_name": "Late"},
        {"slug": "unordered"},
        {"slug": "first", "priority": 1, "context_window": 272000},
        {"no": "slug"},
        "nonsense",
    ]
}


def login(account_id: str | None) -> Login:
    return Login(access_token=Secret("t"), account_id=account_id)


def test_models_are_sorted_by_priority() -> None:
    assert [model["id"] for model in to_official_list(CATALOG)["data"]] == ["first", "late", "unordered"]


def test_model_keeps_the_fields_of_the_backend() -> None:
    assert find_model(CATALOG, "first") == {
        "id": "first",
        "object": "model",
        "created": 0,
        "owned_by": "openai",
        "slug": "first",
        "priority": 1,
        "context_window": 272000,
    }


@pytest.mark.parametrize(
    ("levels", "efforts"),
    [
        ([{"effort": "low", "description": "x"}, {"effort": "high"}], ["low", "high"]),
        (["low", {}, {"effort": 3}, None, {"effort": "max"}], ["max"]),
        ("low", []),
        (None, []),
    ],
)
def test_efforts_are_those_of_the_levels(levels: Any, efforts: list[str]) -> None:
    assert efforts_of({"id": "m", "supported_reasoning_levels": levels}) == efforts
    assert efforts_of({}) == []


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ([{"effort": "max"}, {"effort": "ultra"}], [{"effort": "max"}]),
        ([{"effort": "ultra"}], []),
        ([7, {"level": 1}], [7, {"level": 1}]),
        (None, None),
    ],
)
def test_effort_of_the_cli_is_not_listed(levels: Any, expected: Any) -> None:
    catalog = {"models": [{"slug": "a", "supported_reasoning_levels": levels}]}
    assert to_official_list(catalog)["data"][0]["supported_reasoning_levels"] == expected


@pytest.mark.parametrize(
    ("name", "similar"),
    [
        ("luna", "gpt-6-luna"),
        ("GPT-6-Luna", "gpt-6-luna"),
        ("5.5", "gpt-5.5"),
        ("gpt-6-lnua", "gpt-6-luna"),
        ("gpt6-luna", "gpt-6-luna"),
        ("gpt-5-lunar", "gpt-5.6-luna"),
        ("gpt-5.5-luna", None),
        ("gpt-4o", None),
        ("gpt-9-nope", None),
        ("gpt-6-nope", None),
        ("claude", None),
        ("", None),
    ],
)
def test_similar_model_is_found(name: str, similar: str | None) -> None:
    assert similar_model(name, ["gpt-6-luna", "gpt-5.6-luna", "gpt-5.5"]) == similar


def test_unknown_model_is_none() -> None:
    assert find_model(CATALOG, "none") is None


@pytest.mark.parametrize("value", [None, [], {}, {"models": None}, {"detail": "Not Found"}])
def test_value_that_is_not_a_catalog_is_rejected(value: Any) -> None:
    with pytest.raises(ValueError, match="not a model catalog"):
        to_official_list(value)


def test_cache_is_used_for_one_account() -> None:
    cache = CatalogCache()
    assert cache.get(None) is None
    models = to_official_list(CATALOG)["data"]
    cache.put(models, login=login("a"), received_at=0.0)
    assert cache.get(login("a")) is cache.get(login(None)) is cache.get(None) is models
    assert cache.get(login("b")) is None


@pytest.mark.parametrize(
    ("account_id", "now", "is_fresh"), [("a", 299.0, True), ("a", 300.0, False), ("b", 0.0, False), (None, 0.0, False)]
)
def test_catalog_is_fresh_for_five_minutes(account_id: str | None, now: float, is_fresh: bool) -> None:
    cache = CatalogCache()
    models = to_official_list(CATALOG)["data"]
    cache.put(models, login=login("a"), received_at=0.0)
    assert cache.get_fresh(login(account_id), now=now) is (models if is_fresh else None)


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        ([], None),
        ([{"id": "a", "visibility": "hide"}], None),
        ([{"id": "a", "visibility": "hide"}, {"id": "b", "visibility": "list"}, {"id": "c"}], "b"),
        ([{"id": "a"}, {"id": "b"}], "a"),
    ],
)
def test_first_listed_id_skips_hidden_models(models: list[dict[str, Any]], expected: str | None) -> None:
    assert first_listed_id(models) == expected


@pytest.mark.parametrize(
    ("etag", "reported", "is_current"),
    [("x", "x", True), ("x", "y", False), ("x", None, True), (None, "y", True), (None, None, True)],
)
def test_catalog_is_current_until_another_etag(etag: str | None, reported: str | None, is_current: bool) -> None:
    cache = CatalogCache()
    cache.report_etag("before")
    models = to_official_list(CATALOG)["data"]
    cache.put(models, login=login("a"), received_at=0.0, etag=etag)
    cache.report_etag(reported)
    assert cache.get_current(login("a")) is (models if is_current else None)
    assert cache.get_current(login("b")) is None
    assert cache.get_current(None) is None
