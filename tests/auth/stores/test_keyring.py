"""Test KeyringStore with a keyring in memory and with a real Secret Service."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from servers import MemoryKeyring, needs_secret_service, secret_service_command
from support.codex_cli import BINARY, requires_cli

from codex_backend_sdk._exceptions import CredentialStoreError
from codex_backend_sdk.auth import KeyringStore
from codex_backend_sdk.auth.stores import keyring as keyring_module
from codex_backend_sdk.auth.stores.base import compute_digest
from codex_backend_sdk.testing import Simulator

DOCUMENT = {"auth_mode": "chatgpt", "OPENAI_API_KEY": None, "tokens": {"access_token": "secret-token"}}


@pytest.fixture
def keyring() -> MemoryKeyring:
    return MemoryKeyring()


@pytest.fixture
def store(keyring: MemoryKeyring, tmp_path: Path) -> KeyringStore:
    return KeyringStore(tmp_path, backend=keyring, entry_bytes=2560)


def long_document(letter: str) -> dict[str, Any]:
    return {**DOCUMENT, "tokens": {"access_token": letter * 4000}}


@pytest.mark.skipif(os.name == "nt", reason="the service has another name on Windows")
def test_entry_matches_the_codex_cli(store: KeyringStore, keyring: MemoryKeyring, tmp_path: Path) -> None:
    store.save(DOCUMENT)
    account = keyring_module.entry_name(str(tmp_path.resolve()))
    compact = '{"auth_mode":"chatgpt","OPENAI_API_KEY":null,"tokens":{"access_token":"secret-token"}}'
    assert keyring.entries == {("Codex Auth", account): compact}
    assert account in store.location


def test_symlinked_home_has_the_same_entry(keyring: MemoryKeyring, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    KeyringStore(tmp_path / "link", backend=keyring).save(DOCUMENT)
    assert KeyringStore(tmp_path / "real", backend=keyring).load() == DOCUMENT


def test_save_and_clear_delete_the_file(store: KeyringStore, tmp_path: Path) -> None:
    file = tmp_path / "auth.json"
    file.write_text("{}")
    store.save(DOCUMENT)
    assert not file.exists()
    file.write_text("{}")
    assert store.clear() is True
    assert not file.exists()


def test_undeletable_file_logs_a_warning(store: KeyringStore, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "auth.json").mkdir()
    store.save(DOCUMENT)
    assert store.load() == DOCUMENT
    assert "the old file was not deleted. Delete it. Cannot delete" in caplog.text


def test_long_value_is_split_and_old_parts_are_deleted(store: KeyringStore, keyring: MemoryKeyring) -> None:
    store.save(long_document("a"))
    assert store.load() == long_document("a")
    assert len(keyring.entries) == 5
    store.save(long_document("a"))
    assert store.load() == long_document("a"), "saving the same value again keeps its parts"
    store.save(long_document("b"))
    assert store.load() == long_document("b")
    assert len(keyring.entries) == 5
    store.save(DOCUMENT)
    assert len(keyring.entries) == 1
    store.save(long_document("c"))
    assert store.clear() is True
    assert keyring.entries == {}


def test_interrupted_write_keeps_the_old_value(store: KeyringStore, keyring: MemoryKeyring) -> None:
    store.save(long_document("a"))
    for write_count in range(4):
        written: list[str] = []

        def fail_write(name: str, written: list[str] = written, write_count: int = write_count) -> None:
            if len(written) == write_count:
                raise OSError("power failure")
            written.append(name)

        keyring.before_set = fail_write
        with pytest.raises(CredentialStoreError, match="Cannot write the keyring"):
            store.save(long_document("b"))
        assert store.load() == long_document("a")
    keyring.before_set = lambda name: None
    store.save(long_document("b"))
    assert store.load() == long_document("b")


def test_missing_part_raises(store: KeyringStore, keyring: MemoryKeyring) -> None:
    store.save(long_document("a"))
    part = next(key for key in keyring.entries if key[1].endswith("|1"))
    del keyring.entries[part]
    with pytest.raises(CredentialStoreError, match="a part of it is missing or changed"):
        store.load()
    store.save(DOCUMENT)
    assert store.load() == DOCUMENT


def test_keyring_error_shows_no_value(store: KeyringStore, keyring: MemoryKeyring) -> None:
    from keyring.errors import KeyringLocked

    store.save(DOCUMENT)
    for error, text in (
        (KeyringLocked("Failed to unlock the collection!"), "Failed to unlock the collection"),
        (ValueError("secret-token"), "ValueError"),
        (PermissionError(13, "Permission denied", "secret-token"), "Permission denied"),
    ):
        keyring.error = error
        for call in (store.load, store.clear, store.version, lambda: store.save(DOCUMENT)):
            with pytest.raises(
                CredentialStoreError, match=rf"^Cannot \w+ the keyring \(.*\): {text}\. Unlock the keyring"
            ):
                call()


def test_load_does_not_create_the_folder(keyring: MemoryKeyring, tmp_path: Path) -> None:
    store = KeyringStore(tmp_path / "home", backend=keyring)
    assert store.load() is None
    assert not store.home.exists()


def test_missing_package_error_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)  # as if it were not installed
    with pytest.raises(CredentialStoreError, match=r"pip install '\.\[keyring\]'"):
        KeyringStore(tmp_path).load()


def test_missing_keyring_backend_raises(tmp_path: Path) -> None:
    """The package `keyring` finds no backend in a container."""
    program = f"""
from codex_backend_sdk.auth import KeyringStore
try:
    KeyringStore({str(tmp_path)!r}).load()
except RuntimeError as error:
    print(type(error).__name__, error)
"""
    env = {**os.environ, "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
    result = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    assert "CredentialStoreError Cannot read the keyring" in result.stdout
    assert "No recommended backend" in result.stdout


# --- a real Secret Service -------------------------------------------------------------------------------------------

# An item with the attributes of the Codex CLI's library exists already.
UPDATE_ITEM_OF_CODEX = """
import json, secretstorage, sys
from codex_backend_sdk.auth.stores import keyring as entries
from codex_backend_sdk.auth import KeyringStore
store = KeyringStore(sys.argv[1])
account = entries.entry_name(sys.argv[1])
connection = secretstorage.dbus_init()
collection = secretstorage.get_default_collection(connection)
cli_attributes = {"service": "Codex Auth", "username": account, "target": "default", "application": "rust-keyring"}
other_attributes = {**cli_attributes, "target": "elsewhere"}
collection.create_item("cli", cli_attributes, b'{"auth_mode":"chatgpt","n":1}')
collection.create_item("other", other_attributes, b"untouched")
first = store.load()
store.save({"auth_mode": "chatgpt", "n": 2})
items = {item.get_label(): item.get_secret().decode() for item in collection.get_all_items()}
print(json.dumps([first, items, store.load()]))
connection.close()
"""


def run_in_session(folder: Path, *command: str, **env: str) -> str:
    prefix, environment = secret_service_command(folder)
    result = subprocess.run(
        [*prefix, *command], env={**environment, **env}, capture_output=True, text=True, timeout=50, check=False
    )
    assert result.returncode == 0, result
    return result.stdout


@needs_secret_service
def test_item_of_the_codex_cli_is_updated_in_place(tmp_path: Path) -> None:
    """The Codex CLI rejects two items as ambiguous."""
    out = run_in_session(tmp_path, sys.executable, "-c", UPDATE_ITEM_OF_CODEX, str(tmp_path))
    assert json.loads(out.splitlines()[-1]) == [
        {"auth_mode": "chatgpt", "n": 1},
        {"cli": '{"auth_mode":"chatgpt","n":2}', "other": "untouched"},
        {"auth_mode": "chatgpt", "n": 2},
    ]


SHARE_WITH_CODEX = """
import json, subprocess, sys
from codex_backend_sdk.auth.stores.auto import default_store
binary, document = sys.argv[1:]
store = default_store()
def codex(*arguments, stdin=None):
    result = subprocess.run([binary, *arguments], input=stdin, capture_output=True, text=True, timeout=30)
    return (result.stdout + result.stderr).strip().splitlines()[-1]
output = []
store.save(json.loads(document))  # our item
output += [codex("login", "status"), codex("logout"), store.load()]
output += [codex("login", "--with-api-key", stdin="sk-fake-0123456789"), store.load()]  # the Codex CLI's item
store.save(json.loads(document))
output += [codex("login", "status"), store.clear(), codex("login", "status")]
print(json.dumps(output))
"""


@needs_secret_service
@requires_cli
def test_codex_cli_shares_the_entry(tmp_path: Path) -> None:
    home = tmp_path / "codex"
    with Simulator() as sim:
        sim.write_codex_home(home)
        document = json.dumps(sim.login_document())
    config = home / "config.toml"
    config.write_text(config.read_text().replace('"file"', '"keyring"'))
    out = run_in_session(tmp_path, sys.executable, "-c", SHARE_WITH_CODEX, str(BINARY), document, CODEX_HOME=str(home))
    assert json.loads(out.splitlines()[-1]) == [
        "Logged in using ChatGPT",
        "Successfully logged out",
        None,
        "API key saved. Authentication is checked when you send a request.",
        {"auth_mode": "apikey", "OPENAI_API_KEY": "sk-fake-0123456789"},
        "Logged in using ChatGPT",
        True,
        "Not logged in",
    ]
    assert not (home / "auth.json").exists()


# --- entry names and values -----------------------------------------------------------------------------------

LONG_VALUE = "0123456789" * 5


def test_entry_name_is_a_digest_of_the_path() -> None:
    """The name is the same as in Codex CLI 0.169.0: `printf /home/user/.codex | sha256sum`."""
    assert keyring_module.entry_name("/home/user/.codex") == "cli|59448a44901f7128"


@pytest.mark.parametrize(
    ("path", "canonical"),
    [
        (r"C:\Users\me\.codex", r"\\?\C:\Users\me\.codex"),
        (r"\\server\share\.codex", r"\\?\UNC\server\share\.codex"),
        (r"\\?\C:\x", r"\\?\C:\x"),
    ],
)
def test_windows_path_matches_rust_canonicalize(path: str, canonical: str) -> None:
    assert keyring_module.windows_path(path) == canonical


def test_digest_depends_on_the_value() -> None:
    assert compute_digest(None) is None
    assert compute_digest("a") == compute_digest(b"a") != compute_digest("b")


@pytest.mark.parametrize("entry_bytes", [None, 100, 1000])
def test_value_that_fits_is_not_split(entry_bytes: int | None) -> None:
    assert keyring_module.split_value(LONG_VALUE, entry_bytes=entry_bytes) is None


def test_split_value_round_trips_through_its_index() -> None:
    split = keyring_module.split_value(LONG_VALUE, entry_bytes=40)
    assert split is not None
    index, parts = split
    assert [len(part) for part in parts] == [20, 20, 10]
    assert "".join(parts) == LONG_VALUE
    assert keyring_module.parse_index(index.to_json()) == index
    assert index.value_digest == compute_digest(LONG_VALUE)
    names = index.entry_names("cli|x")
    assert names == [f"cli|x|{index.value_digest[:16]}|{number}" for number in range(3)]
    other = keyring_module.split_value(LONG_VALUE + "!", entry_bytes=40)
    assert other is not None
    assert not set(names) & set(other[0].entry_names("cli|x")), "the entries of another value have other names"


def test_index_has_no_field_of_an_auth_json() -> None:
    """The Codex CLI parses any JSON object and ignores these fields."""
    split = keyring_module.split_value(LONG_VALUE, entry_bytes=40)
    assert split is not None
    assert split[0].to_json().startswith('{"codex_backend_sdk_parts":3,')


@pytest.mark.parametrize(
    "entry",
    [
        None,
        "",
        '{"auth_mode":"chatgpt"}',
        "codex_backend_sdk_parts",
        '["codex_backend_sdk_parts"]',
        '{"codex_backend_sdk_parts":3}',
        '{"codex_backend_sdk_parts":[],"sha256":""}',
    ],
)
def test_other_entries_are_not_an_index(entry: str | None) -> None:
    assert keyring_module.parse_index(entry) is None
