"""Test `client.models`, the models in errors, and the errors for unexpected responses."""

from __future__ import annotations

from typing import Any

import httpx2
import openai
import pytest
from openai.types import Model as OfficialModel
from support.calls import requested_paths
from support.clocks import RecordingClock
from support.sync_adapter import SyncAdapter

import codex_backend_sdk as sdk
from codex_backend_sdk.testing import ModelCatalog, SimulatedAccount, Simulator


def test_list_returns_the_catalog_by_priority(client: Any, sim: Simulator) -> None:
    models = list(client.models.list())
    assert all(isinstance(model, OfficialModel) for model in models)
    priorities = [model.priority for model in models]
    assert priorities == sorted(priorities)
    assert len(priorities) > 3
    assert (models[0].id, models[0].display_name) == ("gpt-6.2-sol", "GPT-6.2-Sol")
    assert models[0].context_window == 500000
    assert models[0].supported_reasoning_levels[0].effort == "low"
    assert sim.requests[0].query == {"client_version": "0.171.0"}


def test_list_returns_an_official_page(sim: Simulator) -> None:
    with sim.client() as client:
        page = client.models.list()
    assert isinstance(page, openai.pagination.SyncPage)
    assert page.data[0].object == "model"
    assert not page.has_next_page()


def test_retrieve_returns_one_model(client: Any) -> None:
    model = client.models.retrieve("gpt-5.5")
    assert (model.id, model.object, model.visibility) == ("gpt-5.5", "model", "list")


def test_retrieve_of_an_unknown_model_lists_the_others(client: Any) -> None:
    with pytest.raises(
        sdk.ModelNotAvailableError, match=r"'gpt-0' is not in the model catalog .* Use an available model: gpt-6\.2-sol"
    ) as caught:
        client.models.retrieve("gpt-0")
    assert isinstance(caught.value, openai.NotFoundError)
    assert isinstance(caught.value, LookupError)
    assert (caught.value.status_code, caught.value.code) == (404, "model_not_found")
    assert "gpt-5.5" in caught.value.available
    assert "codex-auto-review" not in str(caught.value)
    assert "codex-auto-review" not in caught.value.available


@pytest.mark.parametrize(
    ("model", "hint"),
    [("luna", "Did you mean gpt-6-luna? "), ("gpt-6.2-slo", "Did you mean gpt-6.2-sol? "), ("claude", "")],
)
def test_error_suggests_a_similar_model(client: Any, model: str, hint: str) -> None:
    with pytest.raises(sdk.ModelNotAvailableError) as caught:
        client.responses.create(model=model, input="hi")
    assert f"{hint}Available models: " in str(caught.value)
    assert ("Did you mean" in str(caught.value)) == bool(hint)


def test_error_lists_only_visible_models(client: Any) -> None:
    with pytest.raises(sdk.ModelNotAvailableError, match=r"Available models: gpt-6\.2-sol") as caught:
        client.responses.create(model="gpt-0", input="hi")
    assert caught.value.available == tuple(model.id for model in client.models.list() if model.visibility == "list")


def test_error_uses_the_cached_catalog_for_five_minutes(new_client: Any, sim: Simulator) -> None:
    clock = RecordingClock()
    client = new_client(clock=clock)
    client.models.list()
    clock.advance(299)
    with pytest.raises(sdk.ModelNotAvailableError, match=r"Available models: gpt-6\.2-sol") as caught:
        client.with_options(timeout=5).responses.create(model="gpt-0", input="hi")
    assert "codex-auto-review" not in caught.value.available
    assert requested_paths(sim) == ["models", "responses"]
    clock.advance(1)
    with pytest.raises(sdk.ModelNotAvailableError, match=r"Available models: gpt-6\.2-sol"):
        client.responses.create(model="gpt-0", input="hi")
    assert requested_paths(sim) == ["models", "responses", "responses", "models"]


def test_error_never_lists_the_models_of_another_account(client: Any) -> None:
    client.models.list()
    with Simulator(account=SimulatedAccount(account_id="acc-other")) as other_account:
        copy = client.with_options(
            base_url=other_account.base_url, issuer=other_account.issuer, credentials=other_account.credentials()
        )
        with pytest.raises(sdk.ModelNotAvailableError, match="Available models: "):
            copy.responses.create(model="gpt-0", input="hi")
        assert requested_paths(other_account) == ["responses", "models"]


def test_error_lists_no_models_if_the_catalog_request_fails(new_client: Any) -> None:
    def respond(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/models"):
            return httpx2.Response(503)
        return httpx2.Response(400, json={"error": {"code": "model_not_found", "message": "No."}})

    client_class = httpx2.AsyncClient if isinstance(new_client(), SyncAdapter) else httpx2.Client
    client = new_client(http_client=client_class(transport=httpx2.MockTransport(respond)))
    with pytest.raises(sdk.ModelNotAvailableError) as caught:
        client.responses.create(model="gpt-0", input="hi")
    assert caught.value.available is None
    assert "Available models" not in str(caught.value)


def test_retrieve_with_an_empty_id_raises_value_error(client: Any, sim: Simulator) -> None:
    with pytest.raises(ValueError, match="non-empty value for `model`"):
        client.models.retrieve("")
    assert sim.requests == []


def test_raw_response_parses_to_a_model(client: Any) -> None:
    raw = client.models.with_raw_response.retrieve("gpt-5.5")
    assert raw.parse().display_name == "GPT-5.5"


def test_usage_returns_the_json_of_the_backend(client: Any, sim: Simulator) -> None:
    usage = client.codex.usage()
    assert type(usage) is dict
    assert usage["plan_type"] == "pro"
    assert usage["rate_limit"]["primary_window"]["limit_window_seconds"] == 18000
    assert sim.requests[0].path == "/backend-api/wham/usage"


@pytest.mark.parametrize(
    ("content_type", "body"), [("text/html", b"<html><title>Sign in</title>"), ("application/json", b"{"), ("", b"[]")]
)
def test_status_200_with_unexpected_content_raises(content_type: str, body: bytes) -> None:
    transport = httpx2.MockTransport(
        lambda _: httpx2.Response(200, headers={"content-type": content_type}, content=body)
    )
    with Simulator() as sim, sim.client(http_client=httpx2.Client(transport=transport), max_retries=0) as client:
        for call in (client.codex.usage, client.models.list, lambda: client.models.retrieve("gpt-5.5")):
            with pytest.raises(sdk.UnexpectedResponseError, match=r"instead of (a JSON object|its model catalog)"):
                call()


# --- the model `auto` ------------------------------------------------------------------------------------------------


def models_of(sim: Simulator) -> list[str]:
    return [request.json()["model"] for request in sim.requests if request.path.endswith("/responses")]


def test_auto_is_the_first_listed_model_with_one_request(client: Any, sim: Simulator) -> None:
    for _ in range(3):
        client.responses.create(model="auto", input="hi")
    client.with_options(timeout=5).responses.create(model="auto", input="hi")
    assert requested_paths(sim) == ["models", *["responses"] * 4]
    assert models_of(sim) == ["gpt-6.2-sol"] * 4


@pytest.mark.parametrize(("plan", "model"), [("free", "gpt-6.1-terra"), ("plus", "gpt-6.2-sol")])
@pytest.mark.parametrize("call", ["create", "stream", "compact", "in the constructor"])
def test_auto_depends_on_the_plan(new_client: Any, plan: str, model: str, call: str) -> None:
    with Simulator(account=SimulatedAccount(plan=plan)) as own:
        options = {"base_url": own.base_url, "issuer": own.issuer, "credentials": own.credentials()}
        client = new_client(**options, **({"model": "auto"} if call == "in the constructor" else {}))
        if call == "compact":
            client.responses.compact(model="auto", input="hi")
        elif call == "stream":
            list(client.responses.create(model="auto", input="hi", stream=True))
        else:
            client.responses.create(input="hi", **({"model": "auto"} if call == "create" else {}))
        assert models_of(own) == [model]


def test_auto_requests_the_catalog_again_when_it_has_changed(new_client: Any) -> None:
    with (
        Simulator(model_catalog=ModelCatalog.of("a", "b")) as first,
        Simulator(model_catalog=ModelCatalog.of("b", "c"), accepts_logins_of=first) as second,
    ):
        client = new_client(base_url=first.base_url, issuer=first.issuer, credentials=first.credentials())
        client.responses.create(model="auto", input="hi")
        copy = client.with_options(base_url=second.base_url)
        copy.responses.create(model="b", input="hi")  # reports the ETag of the other catalog
        copy.responses.create(model="auto", input="hi")
        assert (models_of(first), models_of(second)) == (["a"], ["b", "b"])
        assert requested_paths(second) == ["responses", "models", "responses"]


def test_explicit_model_overrides_auto(new_client: Any, sim: Simulator) -> None:
    client = new_client(model="auto")
    client.responses.create(model="gpt-5.5", input="hi")
    assert (models_of(sim), requested_paths(sim)) == (["gpt-5.5"], ["responses"])


def test_explain_shows_the_model_of_auto(client: Any, sim: Simulator) -> None:
    unknown = client.codex.explain(model="auto", input="hi")
    assert (unknown.model, sim.requests) == ("gpt-6.1-terra", [])
    assert any("requests the model catalog" in finding.what for finding in unknown.findings)
    client.models.list()
    assert client.codex.explain(model="auto", input="hi").model == "gpt-6.2-sol"


@pytest.mark.parametrize("model", ["gpt-6-luna", "gpt-5.6-sol"])
def test_effort_none_is_explained_as_it_is_answered(client: Any, model: str) -> None:
    parameters: dict[str, Any] = {"model": model, "input": "Say hello", "reasoning": {"effort": "none"}}
    assert not client.codex.explain(**parameters).is_refused
    assert client.responses.create(**parameters).output_text == "hello"


def test_default_model_works_for_every_common_plan(new_client: Any) -> None:
    for plan in ("free", "free_workspace", "k12", "go", "plus", "pro", "promax", "team", "business", "edu", "law"):
        with Simulator(account=SimulatedAccount(plan=plan)) as own:
            client = new_client(base_url=own.base_url, issuer=own.issuer, credentials=own.credentials())
            assert client.responses.create(input="Say hello").output_text == "hello"
