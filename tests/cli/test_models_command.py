"""Test `codex-backend models`."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from support.raw_server import http_reply, raw_server

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.command_runs import Run, StoreLogin


def test_models_keeps_the_order_of_the_catalog(run: Run, store_login: StoreLogin) -> None:
    store_login()
    result = run("models")
    assert (result.code, result.err) == (0, "* the default model, and the default effort of each model\n")
    heading, first, *rest = result.out.splitlines()
    assert heading.split() == ["MODEL", "CONTEXT", "INPUT", "TIERS", "REASONING", "EFFORTS"]
    assert re.fullmatch(r"gpt-6\.2-sol +500 k +text image +priority +low\* medium high xhigh max", first)
    assert [line.split()[0] for line in rest if "*" in line.split()[0]] == ["gpt-6.1-terra*"]
    assert not any("codex-auto-review" in line for line in rest)
    assert not any(line.startswith(" ") for line in result.out.splitlines())
    assert max(map(len, result.out.splitlines())) <= 80


def test_models_all_includes_hidden_models(run: Run, store_login: StoreLogin) -> None:
    store_login()
    assert "codex-auto-review" in run("models", "--all").out


def test_models_json_is_the_whole_catalog(run: Run, store_login: StoreLogin) -> None:
    store_login()
    catalog = json.loads(run("models", "--json").out)
    assert catalog["default_model"] == "gpt-6.1-terra"
    assert catalog["data"][0]["id"] == "gpt-6.2-sol"
    assert catalog["data"][0]["context_window"] == 500000
    assert catalog["data"][0]["supported_reasoning_levels"][0]["effort"] == "low"


def test_models_describes_one_model(run: Run, store_login: StoreLogin) -> None:
    store_login()
    out = run("models", "gpt-6.1-terra").out
    assert out.startswith("GPT-6.1 Terra\nSimulated GPT-6.1 Terra.\n")
    assert "gpt-6.1-terra, the default" in out
    assert "500 k tokens by default, at most 872 k" in out
    assert "low* (Fast responses with lighter reasoning)" in out
    assert "priority (Fast)" in out
    data = json.loads(run("models", "gpt-5.5", "--json").out)
    assert (data["id"], data["is_default"]) == ("gpt-5.5", False)


def test_unknown_model_names_the_command(run: Run, store_login: StoreLogin) -> None:
    store_login()
    result = run("models", "gpt-9")
    assert (result.code, result.out) == (1, "")
    assert "gpt-9" in result.err
    assert "client." not in result.err


CATALOG = {
    "models": [
        {"slug": "bare"},
        {"slug": "planned", "available_in_plans": ["plus", "pro"], "service_tiers": ["odd", {"id": "flex"}]},
    ]
}


@pytest.mark.parametrize(
    ("arguments", "texts"),
    [
        ((), ("bare     -        -      -      -", "planned  -        -      flex   -")),
        (("planned",), ("plans          plus, pro", "service tiers  flex")),
        (("bare",), ("plans          not reported", "efforts        none")),
    ],
)
def test_models_of_a_sparse_catalog(
    run: Run,
    store_login: StoreLogin,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    texts: tuple[str, ...],
) -> None:
    store_login()
    with raw_server(lambda head, body: http_reply(json.dumps(CATALOG).encode())) as origin:
        monkeypatch.setenv("CODEX_BASE_URL", f"{origin}/backend-api/codex")
        result = run("models", *arguments)
    assert result.code == 0
    for text in texts:
        assert text in result.out
    if not arguments:
        assert "The default model, gpt-6.1-terra, is not available to this account." in result.err


@pytest.mark.parametrize("columns", [20, 40, 80, 120])
def test_models_fit_the_terminal(run_in_terminal: Callable[..., str], store_login: StoreLogin, columns: int) -> None:
    store_login()
    lines = run_in_terminal("models", columns=columns, NO_COLOR="1").splitlines()
    assert max(map(len, lines)) <= columns
    assert any(line.startswith("gpt-6.1-terra*") for line in lines)
