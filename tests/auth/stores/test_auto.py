"""Test which store the configuration of the Codex CLI selects, and the store that prefers the keyring."""

from __future__ import annotations

import importlib
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from issuer_stub import IssuerStub
from servers import MemoryKeyring

from codex_backend_sdk._exceptions import CredentialStoreError
from codex_backend_sdk.auth import Credentials, FileStore, KeyringStore, MemoryStore
from codex_backend_sdk.auth.stores.auto import AutoStore, default_store

OLD_TIME, NEW_TIME = "2026-11-22T05:51:37.5Z", "2026-11-22T05:51:37.545431475Z"


def document(last_refresh: str) -> dict[str, Any]:
    return {"auth_mode": "chatgpt", "tokens": {"access_token": "a"}, "last_refresh": last_refresh}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CODEX_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("config", "store_class"),
    [
        (None, FileStore),
        ("", FileStore),
        ('model = "gpt-5.5"\n[tui]\ncli_auth_credentials_store = "keyring"', FileStore),
        ('cli_auth_credentials_store = "file"', FileStore),
        ('cli_auth_credentials_store = "keyring"', KeyringStore),
        ('\ufeffcli_auth_credentials_store = "keyring"', KeyringStore),
        ('cli_auth_credentials_store = "auto"', AutoStore),
        ('cli_auth_credentials_store = "ephemeral"', MemoryStore),
    ],
)
def test_default_store_follows_the_codex_config(home: Path, config: str | None, store_class: type) -> None:
    if config is not None:
        (home / "config.toml").write_text(config, encoding="utf-8")
    assert type(default_store()) is store_class
    assert type(Credentials().store) is store_class


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ('cli_auth_credentials_store = "safe"', r"config\.toml is invalid\. Set it to one of: file, keyring, auto, "),
        ("cli_auth_credentials_store = 5", r"Set it to one of"),
        ("secret-word = = 5", r"config\.toml is not valid TOML"),
        (b"\xff", r"config\.toml is not valid TOML"),
        ("a = " + "[" * 5000, r"config\.toml is not valid TOML"),
    ],
)
def test_invalid_configuration_raises(home: Path, config: str | bytes, message: str) -> None:
    (home / "config.toml").write_bytes(config if isinstance(config, bytes) else config.encode())
    credentials = Credentials()  # does not read the configuration yet
    with pytest.raises(CredentialStoreError, match=message) as caught:
        credentials.current()
    assert "secret-word" not in str(caught.value)


def test_unreadable_configuration_raises(home: Path) -> None:
    (home / "config.toml").mkdir()
    with pytest.raises(CredentialStoreError, match=r"Cannot read .*config\.toml: (it is a folder|Permission denied)"):
        default_store()


@pytest.mark.timeout(20)
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_configuration_in_a_named_pipe_does_not_block(home: Path) -> None:
    os.mkfifo(home / "config.toml")
    with pytest.raises(CredentialStoreError, match=r"Cannot read .*config\.toml: it is a named pipe"):
        Credentials().current()


def test_huge_configuration_is_not_read(home: Path) -> None:
    with (home / "config.toml").open("wb") as file:
        file.truncate(2**30)
    with pytest.raises(CredentialStoreError, match=r"config\.toml: it has more than 1,000,000 bytes"):
        default_store()


def test_ephemeral_store_is_shared_by_the_process(home: Path) -> None:
    (home / "config.toml").write_text('cli_auth_credentials_store = "ephemeral"')
    Credentials().store.save(document(OLD_TIME))
    assert Credentials().store.load() == document(OLD_TIME)
    default_store().clear()


@pytest.fixture
def keyring() -> MemoryKeyring:
    return MemoryKeyring()


@pytest.fixture
def auto_store(tmp_path: Path, keyring: MemoryKeyring) -> AutoStore:
    return AutoStore(KeyringStore(tmp_path, backend=keyring), FileStore(tmp_path / "auth.json"))


def test_keyring_takes_precedence(auto_store: AutoStore, keyring: MemoryKeyring, tmp_path: Path) -> None:
    FileStore(tmp_path / "auth.json").save(document(OLD_TIME))
    assert auto_store.load() == document(OLD_TIME), "the login of the file is used until a save"
    auto_store.save(document(NEW_TIME))
    assert len(keyring.entries) == 1
    assert not (tmp_path / "auth.json").exists()
    assert auto_store.load() == document(NEW_TIME)


@pytest.mark.parametrize("backend", ["fail", "null", None])
def test_file_is_used_without_a_keyring(
    backend: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if backend is None:
        monkeypatch.setitem(sys.modules, "keyring", None)  # as if it were not installed
    else:
        package = pytest.importorskip("keyring")
        backend_keyring = importlib.import_module(f"keyring.backends.{backend}").Keyring()
        monkeypatch.setattr(package.core, "_keyring_backend", backend_keyring)
    auto_store = AutoStore(KeyringStore(tmp_path), FileStore(tmp_path / "auth.json"))
    assert auto_store.load() is None
    before = auto_store.version()
    auto_store.save(document(OLD_TIME))
    assert auto_store.version() != before
    assert auto_store.load() == FileStore(tmp_path / "auth.json").load() == document(OLD_TIME)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert auto_store.clear() is True
    assert auto_store.load() is None


def test_keyring_failure_does_not_log_out(auto_store: AutoStore, keyring: MemoryKeyring, tmp_path: Path) -> None:
    with IssuerStub() as issuer:
        auto_store.save(issuer.document(expires_in=timedelta(minutes=4)))
        credentials = Credentials(auto_store, issuer=issuer.url)
        login = credentials._reload().login
        keyring.error = OSError("no bus")
        assert credentials.current() == login, "the old token is still valid"
        assert issuer.requests == []
        with pytest.raises(CredentialStoreError, match=r"no login in .*auth\.json either\. Log in"):
            Credentials(auto_store, issuer=issuer.url).current()
        with pytest.raises(CredentialStoreError, match="Cannot delete the keyring"):
            credentials.logout()
        keyring.error = None
        assert auto_store.load() is not None


def test_clear_raises_if_the_keyring_entry_stays(auto_store: AutoStore, keyring: MemoryKeyring) -> None:
    auto_store.save(document(OLD_TIME))
    keyring.error = OSError("locked")
    auto_store.save(document(NEW_TIME))
    with pytest.raises(CredentialStoreError, match="Cannot delete the keyring"):
        auto_store.clear()
    keyring.error = None
    assert auto_store.load() == document(OLD_TIME)


def test_newer_login_is_used_when_the_keyring_recovers(auto_store: AutoStore, keyring: MemoryKeyring) -> None:
    """The issuer has already accepted the refresh token of the older login."""
    auto_store.save(document(OLD_TIME))
    keyring.error = OSError("locked")
    auto_store.save(document(NEW_TIME))
    keyring.error = None
    assert auto_store.load() == document(NEW_TIME)


def test_damaged_file_beside_a_keyring_entry_is_ignored(auto_store: AutoStore, tmp_path: Path) -> None:
    auto_store.save(document(OLD_TIME))
    (tmp_path / "auth.json").write_text("{")
    assert auto_store.load() == document(OLD_TIME)
