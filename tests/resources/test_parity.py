"""Test that the sync and the async classes have the same public members, with the same parameters."""

from __future__ import annotations

import inspect

import pytest

import codex_backend_sdk as sdk
from codex_backend_sdk.resources import authentication, codex, models, responses, unsupported

PAIRS: list[tuple[type, type]] = [
    (sdk.OpenAI, sdk.AsyncOpenAI),
    (authentication.Authentication, authentication.AsyncAuthentication),
    (codex.Codex, codex.AsyncCodex),
    (codex.ResetCreditsResource, codex.AsyncResetCreditsResource),
    (models.Models, models.AsyncModels),
    (responses.Responses, responses.AsyncResponses),
    (unsupported.Beta, unsupported.AsyncBeta),
]


@pytest.mark.parametrize(("sync_class", "async_class"), PAIRS)
def test_sync_and_async_class_have_the_same_members(sync_class: type, async_class: type) -> None:
    names = {name for name in vars(sync_class) if name[0] != "_"}
    assert names == {name for name in vars(async_class) if name[0] != "_"}
    for name in names:
        member = vars(sync_class)[name]
        assert type(member) is type(vars(async_class)[name])
        if inspect.isfunction(member) and not hasattr(member, "__wrapped__"):  # wrapped methods have openai's signature
            expected = inspect.signature(member).parameters
            assert inspect.signature(vars(async_class)[name]).parameters == expected, name
