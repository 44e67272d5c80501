"""Test the public names, and which modules an import loads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import codex_backend_sdk
import codex_backend_sdk.auth

if TYPE_CHECKING:
    from types import ModuleType


def run(code: str) -> str:
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    return result.stdout.strip()


@pytest.mark.parametrize("module", ["codex_backend_sdk", "codex_backend_sdk.auth", "codex_backend_sdk.testing.plugin"])
def test_import_does_not_load_openai(module: str) -> None:
    assert run(f"import sys, {module}; print('openai' in sys.modules)") == "False"


def test_client_does_not_load_the_packages_of_the_command() -> None:
    packages = {"click", "rich", "prompt_toolkit", "platformdirs"}
    code = "import sys, codex_backend_sdk as c; c.OpenAI(credentials=c.auth.MemoryStore()).responses"
    assert run(f"{code}; print(sorted({packages} & sys.modules.keys()))") == "[]"


@pytest.mark.parametrize("name", codex_backend_sdk.__all__)
def test_public_name_is_importable(name: str) -> None:
    assert getattr(codex_backend_sdk, name).__name__ == name
    assert getattr(codex_backend_sdk, name).__doc__
    assert name in dir(codex_backend_sdk)


@pytest.mark.parametrize("name", codex_backend_sdk.auth.__all__)
def test_auth_name_is_importable(name: str) -> None:
    assert getattr(codex_backend_sdk.auth, name).__name__ == name
    assert name in dir(codex_backend_sdk.auth)


@pytest.mark.parametrize("package", [codex_backend_sdk, codex_backend_sdk.auth])
def test_public_names_are_visible_to_type_checkers(package: ModuleType) -> None:
    text = Path(str(package.__file__)).read_text()
    missing = [name for name in package.__all__ if f"import {name} as {name}\n" not in text]
    assert missing == []


@pytest.mark.parametrize("package", [codex_backend_sdk, codex_backend_sdk.auth])
def test_unknown_name_raises(package: ModuleType) -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        package.Nothing  # noqa: B018


def test_client_does_not_load_login_modules() -> None:
    login_modules = (
        "auth._oauth",
        "auth._device_code",
        "auth.stores.keyring",
        "auth._issuer",
        "auth.static_token",
        "auth.stores.redis",
    )
    names = {f"codex_backend_sdk.{name}" for name in login_modules}
    code = f"import sys, codex_backend_sdk; codex_backend_sdk.OpenAI(); print({names} & {{*sys.modules}})"
    assert run(code) == "set()"


def test_version_matches_the_distribution() -> None:
    from importlib.metadata import version

    assert codex_backend_sdk.__version__ == version("codex-backend-sdk")


def test_package_runs_as_a_module() -> None:
    command = [sys.executable, "-m", "codex_backend_sdk", "--help"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert "Usage:" in result.stdout
