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


@pytest.mark.parametrize("name", codex_backend_sdk.auth.__all__)
def test_every_name_of_the_login_is_there(name: str) -> None:
    assert getattr(codex_backend_sdk.auth, name).__name__ == name
    assert name in dir(codex_backend_sdk.auth)


@pytest.mark.parametrize("package", [codex_backend_sdk, codex_backend_sdk.auth])
def test_type_checkers_know_every_public_name(package: ModuleType) -> None:
    text = Path(str(package.__file__)).read_text()
    missing = [name for name in package.__all__ if f"import {name} as {name}\n" not in text]
    assert missing == []


@pytest.mark.parametrize("package", [codex_backend_sdk, codex_backend_sdk.auth])
def test_other_names_are_not_there(package: ModuleType) -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        package.Nothing  # noqa: B018


def test_a_client_loads_nothing_that_only_a_sign_in_or_another_store_needs() -> None:
    unneeded = (
        "auth._oauth",
        "auth._device_code",
        "auth.stores.keyring",
        "auth._issuer",
        "auth.static_token",
        "auth.stores.redis",
    )
    names = {f"codex_backend_sdk.{name}" for name in unneeded}
    assert (
        run(f"import sys, codex_backend_sdk; codex_backend_sdk.OpenAI(); print({names} & {{*sys.modules}})") == "set()"
    )


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
