"""Test the routes of requests and the names of missing resources."""

from __future__ import annotations

import pytest

from codex_backend_sdk._request.routes import Route, find_route, missing_resource, requested_model


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("post", "/responses", Route.RESPONSES),
        ("POST", "/responses/", Route.RESPONSES),
        ("post", "/responses/compact", Route.COMPACT),
        ("get", "/models", Route.MODELS),
        ("get", "/models/gpt-x", Route.MODEL),
        ("get", "/wham/usage", Route.USAGE),
        ("get", "/wham/rate-limit-reset-credits", Route.ACCOUNT),
        ("post", "/wham/rate-limit-reset-credits/consume", Route.RESET),
        ("get", "/responses", None),
        ("get", "/responses/resp_1", None),
        ("post", "/responses/input_tokens", None),
        ("delete", "/models/gpt-x", None),
        ("get", "/models/a/b", None),
        ("post", "/responses?beta=true", None),
        ("post", "https://example.com/responses", None),
        ("get", "/wham/other", None),
    ],
)
def test_find_route(method: str, path: str, route: Route | None) -> None:
    assert find_route(method, path) is route


def test_model_id_is_unquoted() -> None:
    assert requested_model("/models/a%2Fb%20c") == "a/b c"


@pytest.mark.parametrize(
    ("method", "path", "resource"),
    [
        ("get", "/files", "files"),
        ("get", "/files/file-123/content", "files.content"),
        ("get", "/chat/completions", "chat.completions"),
        ("get", "/chat/completions/chatcmpl-1/messages", "chat.completions.messages"),
        ("get", "/fine_tuning/jobs/ftjob-1", "fine_tuning.jobs"),
        ("get", "/responses/resp_1", "responses.retrieve"),
        ("delete", "/responses/resp_1", "responses.delete"),
        ("post", "/responses/resp_1/cancel", "responses.cancel"),
        ("get", "/responses/resp_1/input_items", "responses.input_items"),
        ("post", "/responses/input_tokens", "responses.input_tokens"),
        ("delete", "/models/gpt-x", "models.delete"),
        ("post", "/responses?beta=true", "beta.responses"),
        ("post", "https://example.com/responses?a=b", "https://example.com/responses"),
        ("get", "/X1", "X1"),
        ("get", "", "/"),
    ],
)
def test_missing_resource_is_named(method: str, path: str, resource: str) -> None:
    assert missing_resource(method, path)[0] == resource


@pytest.mark.parametrize(
    ("method", "path", "remedy"),
    [
        ("get", "/chat/completions/chatcmpl-1", "stores no completions"),
        ("post", "/images/generations", "image_generation"),
        ("get", "/files", "in `input`"),
        ("get", "/files/file-123/content", "in `input`"),
        ("post", "/batches", "`client.codex.batch(...)`"),
        ("post", "/embeddings", "with an API key"),
        ("post", "/audio/speech", "with an API key"),
        ("post", "/fine_tuning/jobs", "with an API key"),
        ("get", "/evals/eval_1", "with an API key"),
        ("post", "/threads?beta=true", "`client.codex.conversation()`"),
        ("get", "/filesystem", "the resources of `client.codex`"),
        ("get", "/X1", "the resources of `client.codex`"),
    ],
)
def test_missing_resource_names_alternative(method: str, path: str, remedy: str) -> None:
    assert remedy in missing_resource(method, path)[1]
