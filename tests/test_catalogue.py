from __future__ import annotations

from typing import Any

import pytest

from codex_backend_sdk._catalogue import as_official_list, find_model

CATALOGUE = {
    "models": [
        {"slug": "late", "priority": 9, "display_name": "Late"},
        {"slug": "unordered"},
        {"slug": "first", "priority": 1, "context_window": 272000},
        {"no": "slug"},
        "nonsense",
    ]
}


def test_the_lowest_priority_comes_first() -> None:
    assert [model["id"] for model in as_official_list(CATALOGUE)["data"]] == ["first", "late", "unordered"]


def test_a_model_is_official_and_says_more() -> None:
    assert find_model(CATALOGUE, "first") == {
        "id": "first",
        "object": "model",
        "created": 0,
        "owned_by": "openai",
        "slug": "first",
        "priority": 1,
        "context_window": 272000,
    }


def test_an_unknown_model() -> None:
    assert find_model(CATALOGUE, "none") is None


@pytest.mark.parametrize("answer", [None, [], {}, {"models": None}, {"detail": "Not Found"}])
def test_what_is_no_catalogue(answer: Any) -> None:
    with pytest.raises(ValueError, match="not a model catalogue"):
        as_official_list(answer)
