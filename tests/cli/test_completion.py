"""Test the completion of the shells."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from codex_backend_sdk.cli.ask import ask
from codex_backend_sdk.cli.known_models import complete_effort, complete_model

if TYPE_CHECKING:
    from cli.command_runs import Run, StoreLogin


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_script_names_the_command_and_the_variable(run: Run, shell: str) -> None:
    result = run("completion", shell)
    assert (result.code, result.err) == (0, "")
    assert "codex-backend" in result.out
    assert f"_CODEX_BACKEND_COMPLETE={shell}_complete" in result.out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_script_is_valid_for_its_shell(run: Run, shell: str) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    script = run("completion", shell).out
    result = subprocess.run([program, "-n"], input=script, capture_output=True, text=True, timeout=20, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_unknown_shell_is_a_usage_error(run: Run) -> None:
    assert run("completion", "tcsh").code == 2


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("codex-backend mod", ["models"]),
        ("codex-backend ask --output-s", ["--output-schema"]),
        ("codex-backend ask -e m", ["medium", "max"]),
        ("codex-backend ask -m gpt-9-mini -e m", ["medium"]),
        ("codex-backend ask -m unknown -e x", ["xhigh"]),
        ("codex-backend models gpt-9-", ["gpt-9-mini"]),
        ("codex-backend ask --conversation tr", ["trip"]),
        ("codex-backend chat --show tr", ["trip"]),
        ("codex-backend ask -m gpt-9", ["gpt-9", "gpt-9-mini"]),
        ("codex-backend ask -m other", []),
        ("codex-backend completion z", ["zsh"]),
    ],
)
def test_words_are_completed_without_heavy_imports(
    run_in_process: Run, home: Path, print_imports: str, words: str, expected: list[str]
) -> None:
    home.mkdir()
    conversations = home.parent / "data" / "conversations"
    conversations.mkdir(parents=True)
    (conversations / "trip.jsonl").write_text('{"journal":"codex-backend-sdk","version":1}\n')
    levels = [{"effort": effort} for effort in ("low", "medium", "xhigh", "max", "ultra")]
    models = [
        {"slug": "gpt-9", "visibility": "list", "supported_reasoning_levels": levels},
        {"slug": "gpt-9-mini", "visibility": "list", "supported_reasoning_levels": levels[:3]},
        {"slug": "gpt-9-hidden", "visibility": "hide"},
    ]
    (home / "models_cache.json").write_text(json.dumps({"models": models}))
    # The name of the program, from which click derives the name of the variable, is that of the script.
    variables = {
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
        "_CODEX_BACKEND_COMPLETE": "bash_complete",
    }
    result = run_in_process(env=variables, code=print_imports)
    assert result.code == 0
    assert [line.removeprefix("plain,") for line in result.out.split()] == expected
    assert result.err == "imported: []\n"


def test_models_of_the_account_are_completed_after_models(run: Run, store_login: StoreLogin, home: Path) -> None:
    store_login()
    assert run("models").code == 0
    (home / "models_cache.json").write_text('{"models": [{"slug": "gpt-other"}]}')
    context, parameter = click.Context(ask), ask.params[0]
    assert complete_model(context, parameter, "gpt-5.") == ["gpt-5.6-sol", "gpt-5.6-terra", "gpt-5.6-luna", "gpt-5.5"]
    assert complete_model(context, parameter, "codex") == [], "it is hidden"
    context.params["model"] = "gpt-5.5"
    assert complete_effort(context, parameter, "") == ["none", "low", "medium", "high", "xhigh"]


def test_catalog_is_not_kept_if_the_folder_cannot_be_written(
    run: Run, store_login: StoreLogin, environment: dict[str, str]
) -> None:
    store_login()
    Path(environment["CODEX_BACKEND_DATA"]).write_text("a file")
    assert run("models").code == 0


@pytest.mark.parametrize("content", ["", "[]", '{"models": [1]}', '{"models": [{}]}', '{"models": [{"slug": 1}]}'])
def test_damaged_model_cache_completes_nothing(run_in_process: Run, home: Path, content: str) -> None:
    home.mkdir()
    (home / "models_cache.json").write_text(content)
    variables = {
        "COMP_WORDS": "codex-backend ask -m ",
        "COMP_CWORD": "3",
        "_CODEX_BACKEND_COMPLETE": "bash_complete",
    }
    result = run_in_process(env=variables)
    assert (result.code, result.out.strip(), result.err) == (0, "", "")


def test_bash_completes_the_command(environment: dict[str, str]) -> None:
    bash = shutil.which("bash")
    if bash is None or sys.platform == "win32":
        pytest.skip("bash is not installed")
    script = f"""
    codex-backend() {{ "{sys.executable}" -m codex_backend_sdk "$@"; }}
    eval "$(codex-backend completion bash | sed 's#\\$1)#"{sys.executable}" -m codex_backend_sdk)#')"
    COMP_WORDS=(codex-backend ask --output-s); COMP_CWORD=2
    _codex_backend_completion codex-backend; echo "${{COMPREPLY[@]}}"
    """
    result = subprocess.run(
        [bash, "-c", script], env=environment, capture_output=True, text=True, timeout=40, check=False
    )
    assert (result.stdout, result.stderr) == ("--output-schema\n", "")
