"""What the user typed."""

from __future__ import annotations

import pytest

from codex_backend_sdk.cli.chat.message_text import is_unfinished, split_command, without_fences


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("/help", ("help", "")),
        ("/Model  gpt-6 ", ("model", "gpt-6")),
        ("/image a b.png", ("image", "a b.png")),
        ("/edit one\ntwo", ("edit", "one\ntwo")),
        ("/etc/hosts is what?", None),
        (" /help", None),
        ("/ help", None),
        ("/1", None),
        ("/", None),
        ("//x", None),
        ("help", None),
        ("/a\nb", None),
        ("", None),
    ],
)
def test_command_begins_with_a_slash_and_a_name(text: str, command: tuple[str, str] | None) -> None:
    assert split_command(text) == command


@pytest.mark.parametrize(
    ("text", "is_open"),
    [(":::", True), (":::\na", True), (" ::: \na\n:::", False), ("a\n:::", False), ("", False), (":::\na:::", True)],
)
def test_fence_is_open_until_its_second_line(text: str, is_open: bool) -> None:
    assert is_unfinished(text) == is_open


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (":::\na\n\n b\n:::", "a\n\n b"),
        (":::\na\n:::\nb", "a\nb"),
        (":::\na", ":::\na"),
        ("  a \n", "a"),
        (":::\n:::", ""),
        ("a\n:::", "a\n:::"),
    ],
)
def test_fences_are_not_part_of_the_message(text: str, message: str) -> None:
    assert without_fences(text) == message
