"""Test how llm loads the plugin, and that it costs nothing without llm. `make integrations` tests the models."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

import pytest
from pages import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PLUGIN = "codex_backend_sdk.llm_plugin"


def run(code: str, *folders: Path) -> str:
    lines = [f"import sys; sys.path[:0] = {[str(folder) for folder in folders]}", code]
    command = [sys.executable, "-c", "\n".join(lines)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


@pytest.fixture
def old_llm(tmp_path: Path) -> Path:
    """A folder with a package `llm` as old versions have it: with the hooks, without messages."""
    package = tmp_path / "llm"
    package.mkdir()
    (package / "__init__.py").write_text("def hookimpl(function):\n    return function\n", encoding="utf-8")
    return tmp_path


def test_entry_point_names_the_plugin() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["llm"] == {"codex": PLUGIN}
    assert (ROOT / "src" / PLUGIN.replace(".", "/") / "__init__.py").is_file()


@pytest.mark.parametrize(
    "code",
    [
        "import codex_backend_sdk; codex_backend_sdk.OpenAI",
        "from codex_backend_sdk.cli import main; main(['--version'])",
        "from codex_backend_sdk.cli import main; main(['usage', '--help'])",
        "import codex_backend_sdk.testing.plugin",
    ],
)
def test_nothing_else_imports_the_plugin(code: str) -> None:
    assert run(f"{code}\nprint(sorted(each for each in sys.modules if 'llm' in each))").splitlines()[-1] == "[]"


def test_start_of_the_plugin_loads_no_client(old_llm: Path) -> None:
    code = f"""
import click
from {PLUGIN} import register_commands
cli = click.Group()
register_commands(cli)
context = click.Context(cli)
print(cli.get_command(context, "codex").list_commands(context))
print(sorted({{"openai", "httpx2", "rich", "codex_backend_sdk._client"}} & sys.modules.keys()))
"""
    commands, loaded = run(code, old_llm).splitlines()
    assert commands == "['login', 'logout', 'status', 'usage', 'models', 'doctor']"
    assert loaded == "[]"


def test_old_version_of_llm_gets_a_message(old_llm: Path) -> None:
    """An error would stop every command of llm."""
    code = f"import sys; sys.stderr = sys.stdout\nfrom {PLUGIN} import register_models\nregister_models(print)"
    [line] = run(code, old_llm).splitlines()
    assert line.startswith("codex-backend-sdk needs llm 0.34 or newer (No module named 'llm.")
    assert line.endswith("Run `llm install --upgrade llm`.")
