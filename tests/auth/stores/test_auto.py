from __future__ import annotations

import importlib
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from issuer_stub import IssuerStub
from servers import Keyring

from codex_backend_sdk._exceptions import CredentialStoreError
from codex_backend_sdk.auth import Credentials, FileStore, KeyringStore, MemoryStore
from codex_backend_sdk.auth.stores.auto import AutoStore, default_store

OLD, NEW = "2026-11-22T05:51:37.5Z", "2026-11-22T05:51:37.545431475Z"


def document(last_refresh: str) -> dict[str, Any]:
    return {"auth_mode": "chatgpt", "tokens": {"access_token": "a"}, "last_refresh": last_refresh}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CODEX_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("config", "kind"),
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
def test_default_store_follows_the_codex_config(home: Path, config: str | None, kind: type) -> None:
    if config is not None:
        (home / "config.toml").write_text(config, encoding="utf-8")
    assert type(default_store()) is kind
    assert type(Credentials().store) is kind


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ('cli_auth_credentials_store = "safe"', r"config\.toml must be one of: file, keyring, auto, ephemeral\.$"),
        ("cli_auth_credentials_store = 5", r"must be one of"),
        ("secret-word = = 5", r"config\.toml is not valid TOML"),
        (b"\xff", r"config\.toml is not valid TOML"),
        ("a = " + "[" * 5000, r"config\.toml is not valid TOML"),
    ],
)
def test_invalid_setting_is_named(home: Path, config: str | bytes, message: str) -> None:
    (home / "config.toml").write_bytes(config if isinstance(config, bytes) else config.encode())
    credentials = Credentials()  # reads nothing yet
    with pytest.raises(CredentialStoreError, match=message) as caught:
        credentials.current()
    assert "secret-word" not in str(caught.value)


def test_unreadable_config_is_named(home: Path) -> None:
    (home / "config.toml").mkdir()
    with pytest.raises(CredentialStoreError, match=r"Cannot read .*config\.toml: Is a directory"):
        default_store()


def test_ephemeral_store_is_shared_by_the_process(home: Path) -> None:
    (home / "config.toml").write_text('cli_auth_credentials_store = "ephemeral"')
    Credentials().store.save(document(OLD))
    assert Credentials().store.load() == document(OLD)
    default_store().clear()


@pytest.fixture
def keyring() -> Keyring:
    return Keyring()


@pytest.fixture
def auto(tmp_path: Path, keyring: Keyring) -> AutoStore:
    return AutoStore(KeyringStore(tmp_path, backend=keyring), FileStore(tmp_path / "auth.json"))


def test_keyring_takes_precedence(auto: AutoStore, keyring: Keyring, tmp_path: Path) -> None:
    FileStore(tmp_path / "auth.json").save(document(OLD))
    assert auto.load() == document(OLD), "the login of the file is used until the next save"
    auto.save(document(NEW))
    assert len(keyring.entries) == 1
    assert not (tmp_path / "auth.json").exists()
    assert auto.load() == document(NEW)


@pytest.mark.parametrize("backend", ["fail", "null", None])
def test_file_is_used_without_a_keyring(
    backend: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if backend is None:
        monkeypatch.setitem(sys.modules, "keyring", None)  # as if it were not installed
    else:
        package = pytest.importorskip("keyring")
        own = importlib.import_module(f"keyring.backends.{backend}").Keyring()
        monkeypatch.setattr(package.core, "_keyring_backend", own)
    auto = AutoStore(KeyringStore(tmp_path), FileStore(tmp_path / "auth.json"))
    assert auto.load() is None
    before = auto.version()
    auto.save(document(OLD))
    assert auto.version() != before
    assert auto.load() == FileStore(tmp_path / "auth.json").load() == document(OLD)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert auto.clear() is True
    assert auto.load() is None


def test_keyring_failure_is_not_a_logout(auto: AutoStore, keyring: Keyring, tmp_path: Path) -> None:
    with IssuerStub() as issuer:
        auto.save(issuer.document(expires_in=timedelta(minutes=4)))
        live = Credentials(auto, issuer=issuer.url)
        login = live._reload().login
        keyring.broken = OSError("no bus")
        assert live.current() == login, "the old token is still valid"
        assert issuer.requests == []
        with pytest.raises(CredentialStoreError, match=r"OSError; and there is no login in .*auth\.json\. Unlock"):
            Credentials(auto, issuer=issuer.url).current()
        with pytest.raises(CredentialStoreError, match="Cannot delete the keyring"):
            live.logout()
        keyring.broken = None
        assert auto.load() is not None


def test_clear_raises_if_the_keyring_entry_stays(auto: AutoStore, keyring: Keyring) -> None:
    auto.save(document(OLD))
    keyring.broken = OSError("locked")
    auto.save(document(NEW))
    with pytest.raises(CredentialStoreError, match="Cannot delete the keyring"):
        auto.clear()
    keyring.broken = None
    assert auto.load() == document(OLD)


def test_recovered_keyring_does_not_revive_the_older_login(auto: AutoStore, keyring: Keyring) -> None:
    """Its refresh token is used up."""
    auto.save(document(OLD))
    keyring.broken = OSError("locked")
    auto.save(document(NEW))
    keyring.broken = None
    assert auto.load() == document(NEW)


def test_damaged_file_beside_a_keyring_entry_is_ignored(auto: AutoStore, tmp_path: Path) -> None:
    auto.save(document(OLD))
    (tmp_path / "auth.json").write_text("{")
    assert auto.load() == document(OLD)
