"""`/v1/models`: the official shape with the size of the window, the catalog of the CLI, and the last list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest

if TYPE_CHECKING:
    from codex_backend_sdk.testing import Simulator


def test_list_has_the_official_shape_and_the_window(server: Any) -> None:
    with server.openai_client() as client:
        models = list(client.models.list())
    entry = models[0].to_dict()
    assert (entry["object"], entry["owned_by"], type(entry["created"])) == ("model", "openai", int)
    assert entry["context_length"] == entry["max_model_len"] > 100_000
    assert entry["max_output_tokens"] == 128_000


def test_list_leaves_hidden_models_out(server: Any, sim: Simulator) -> None:
    with sim.client() as client:
        hidden = {model.id for model in client.models.list() if model.visibility == "hide"}
    assert hidden
    assert hidden.isdisjoint(entry["id"] for entry in server.get("/models").json()["data"])


@pytest.mark.parametrize("path", ["/v1/models", "/models"])
def test_list_is_also_below_the_root(server: Any, path: str) -> None:
    assert server.get(server.root + path).json()["object"] == "list"


def test_list_names_efforts_if_asked(serve: Any) -> None:
    ids = [entry["id"] for entry in serve(lists_efforts=True).get("/models").json()["data"]]
    assert "gpt-6.1-terra-high" in ids
    assert "gpt-6.1-terra-ultra" not in ids
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("model", ["gpt-6.1-terra", "gpt-6.1-terra-high"])
def test_one_model_is_found_with_and_without_effort(server: Any, model: str) -> None:
    with server.openai_client() as client:
        assert client.models.retrieve(model).id == model


@pytest.mark.parametrize("model", ["gpt-6.1-tera", "gpt-6.1-terra-ultra", "a/b"])
def test_unknown_model_is_a_404_with_the_list(server: Any, model: str) -> None:
    with server.openai_client() as client, pytest.raises(openai.NotFoundError, match=r"gpt-6\.1-terra") as caught:
        client.models.retrieve(model)
    assert caught.value.code == "model_not_found"


def test_client_version_selects_the_catalog_of_the_cli(server: Any) -> None:
    entries = server.get("/models?client_version=0.171.0").json()["models"]
    assert entries[0]["slug"] == "gpt-6.2-sol"
    assert {"visibility", "supported_reasoning_levels", "base_instructions"} <= set(entries[0])
    assert not {"id", "object", "owned_by"} & set(entries[0])


def _expire_list(server: Any) -> None:
    server.app.state.models._fresh_until = 0.0


def test_list_is_requested_once_in_five_minutes(server: Any, sim: Simulator) -> None:
    for _ in range(3):
        server.get("/models")
    assert sum(request.path.endswith("/models") for request in sim.requests) == 1
    _expire_list(server)
    server.get("/models")
    assert sum(request.path.endswith("/models") for request in sim.requests) == 2


def test_last_list_is_kept_when_a_refresh_fails(server: Any, sim: Simulator) -> None:
    first = server.get("/models").json()
    _expire_list(server)
    sim.fail("overloaded@models", times=None)
    assert server.get("/models").json() == first
    assert server.get("/models").json() == first
    # A failed refresh is not repeated for each request.
    assert sum(request.path.endswith("/models") for request in sim.requests) == 2


def test_failure_without_a_list_has_its_status(server: Any, sim: Simulator) -> None:
    sim.fail("overloaded@models", times=None)
    response: httpx2.Response = server.get("/models")
    assert response.status_code == 503
    assert response.json()["error"]["type"] == "server_error"
