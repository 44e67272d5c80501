from __future__ import annotations

import pytest

from codex_backend_sdk.auth.stores import keyring as keyring_store
from codex_backend_sdk.auth.stores.base import digest

LONG = "0123456789" * 5


def test_entry_name_is_a_digest_of_the_path() -> None:
    """As the Codex CLI 0.169.0 names it; `printf /home/user/.codex | sha256sum` gives the same."""
    assert keyring_store.entry_name("/home/user/.codex") == "cli|59448a44901f7128"


@pytest.mark.parametrize(
    ("path", "told"),
    [
        (r"C:\Users\me\.codex", r"\\?\C:\Users\me\.codex"),
        (r"\\server\share\.codex", r"\\?\UNC\server\share\.codex"),
        (r"\\?\C:\x", r"\\?\C:\x"),
    ],
)
def test_windows_path_matches_rust_canonicalize(path: str, told: str) -> None:
    assert keyring_store.windows_path(path) == told


def test_compact_json_is_ascii() -> None:
    assert keyring_store.to_compact_json({"a": [1, "ä"]}) == '{"a":[1,"\\u00e4"]}'


def test_digest_differs_by_value_and_keeps_none() -> None:
    assert digest(None) is None
    assert digest("a") == digest(b"a") != digest("b")


@pytest.mark.parametrize("entry_bytes", [None, 100, 1000])
def test_value_that_fits_is_not_split(entry_bytes: int | None) -> None:
    assert keyring_store.split_value(LONG, entry_bytes=entry_bytes) is None


def test_split_value_round_trips_through_its_index() -> None:
    cut = keyring_store.split_value(LONG, entry_bytes=40)
    assert cut is not None
    table, parts = cut
    assert [len(part) for part in parts] == [20, 20, 10]
    assert "".join(parts) == LONG
    assert keyring_store.parse_index(table.text()) == table
    assert table.digest == digest(LONG)
    names = table.names("cli|x")
    assert names == [f"cli|x|{table.digest[:16]}|{number}" for number in range(3)]
    other = keyring_store.split_value(LONG + "!", entry_bytes=40)
    assert other is not None
    assert not set(names) & set(other[0].names("cli|x")), "another value, other entries"


def test_index_has_no_member_of_an_auth_json() -> None:
    """It reads any JSON object, and knows none of these members."""
    cut = keyring_store.split_value(LONG, entry_bytes=40)
    assert cut is not None
    assert cut[0].text().startswith('{"codex_backend_sdk_parts":3,')


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
    assert keyring_store.parse_index(entry) is None
