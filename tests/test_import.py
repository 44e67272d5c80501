from __future__ import annotations

import subprocess
import sys

import pytest

import codex_backend_sdk


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("module", ["codex_backend_sdk", "codex_backend_sdk.auth", "codex_backend_sdk.testing.plugin"])
def test_importing_loads_no_openai(module: str) -> None:
    assert run(f"import sys, {module}; print('openai' in sys.modules)") == "False"


@pytest.mark.parametrize("name", codex_backend_sdk.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(codex_backend_sdk, name).__name__ == name
    assert getattr(codex_backend_sdk, name).__doc__
    assert name in dir(codex_backend_sdk)


def test_type_checkers_know_every_public_name() -> None:
    from pathlib import Path

    text = Path(codex_backend_sdk.__file__).read_text()
    missing = [name for name in codex_backend_sdk.__all__ if f"import {name} as {name}\n" not in text]
    assert missing == []


def test_other_names_are_not_there() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        codex_backend_sdk.Nothing  # noqa: B018


def test_the_version_is_that_of_the_distribution() -> None:
    from importlib.metadata import version

    assert codex_backend_sdk.__version__ == version("codex-backend-sdk")


def test_it_can_be_run_as_a_module() -> None:
    assert (
        "Usage:"
        in subprocess.run(
            [sys.executable, "-m", "codex_backend_sdk", "--help"],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        ).stdout
    )
