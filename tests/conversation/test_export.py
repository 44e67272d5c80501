"""Test the export of a conversation as Markdown and as JSON."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from codex_backend_sdk.conversation.export import redact_secrets, to_json, to_markdown

IMAGE = "data:image/png;base64," + "A" * 400
USAGE = {
    "input_tokens": 12_000,
    "input_tokens_details": {"cached_tokens": 9000},
    "output_tokens": 300,
    "output_tokens_details": {"reasoning_tokens": 200},
}


def user(*parts: Any) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": list(parts)}


def item(value: dict[str, Any]) -> dict[str, Any]:
    return {"type": "item", "item": value}


RECORDS: list[dict[str, Any]] = [
    {"type": "settings", "settings": {"model": "gpt-x", "instructions": "Be brief."}},
    item(user({"type": "input_text", "text": "What is the weather?"}, {"type": "input_image", "image_url": IMAGE})),
    item(
        {
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "**Look**\nit up"}],
            "encrypted_content": "g",
        }
    ),
    item({"type": "reasoning", "summary": [], "encrypted_content": "g"}),
    {"type": "call_started", "call_id": "a", "name": "weather"},
    item({"type": "function_call", "call_id": "a", "name": "weather", "arguments": '{"city":"Ulm"}'}),
    item({"type": "function_call_output", "call_id": "a", "output": "```\nsunny\n````\n"}),
    {"type": "response", "id": "resp_1", "usage": USAGE},
    {"type": "compaction", "item": {"type": "compaction", "encrypted_content": "g"}, "kept": [0]},
    item({"role": "assistant", "phase": "commentary", "status": "incomplete", "content": "It is"}),
    {"type": "settings", "settings": {"model": "gpt-x", "effort": "low"}},
    {"type": "response", "id": "resp_2", "usage": None},
]

MARKDOWN = """\
# Conversation

Model: `gpt-x`

## Instructions

Be brief.

## User

What is the weather?

*[image: image/png, about 300 bytes]*

> **Reasoning**
>
> **Look**
> it up

### Call of `weather`

```json
{"city":"Ulm"}
```

### Output of `weather`

`````
```
sunny
````
`````

*The history before this point was compacted. The model continues with a summary that only the backend can read.*

## Assistant (commentary, incomplete)

It is

---

Responses: 2. Tokens: 12,000 input, 9,000 cached input, 300 output, 200 reasoning.
"""


def test_conversation_is_complete_after_a_compaction() -> None:
    assert to_markdown(RECORDS) == MARKDOWN


def test_items_are_exported_without_records() -> None:
    items = [record["item"] for record in RECORDS if record["type"] == "item"]
    settings = {"model": "gpt-x", "instructions": "Be brief."}
    expected = MARKDOWN.partition("---")[0].rstrip().split("\n\n*The history")
    text = to_markdown(items, settings=settings)
    assert text.startswith(expected[0])
    assert text.endswith("It is\n")


ENTRIES: list[tuple[dict[str, Any], str]] = [
    ({"type": "compaction", "id": "cmp_1", "encrypted_content": "g"}, "*The history before this point was compacted."),
    ({"type": "rollback", "to": 3}, "*The conversation was set back here: the model does not see"),
    ({"type": "expand", "compaction": 3}, "*The compacted items were restored here.*"),
    (
        {"type": "edit", "drop": [], "insert": [{"before": 0, "item": user("x")}, "damaged"]},
        "*The history was edited here.*\n\n## User\n\nx\n\n## Message",
    ),
    ({"type": "edit"}, "*The history was edited here.*\n"),
    ({"role": "tool", "content": None}, "## Message\n"),
    (user({"type": "refusal", "refusal": "No."}), "## User\n\nNo.\n"),
    (user({"type": "input_file", "filename": "a.pdf", "file_data": IMAGE}), "*[a.pdf: image/png, about 300 bytes]*"),
    (user({"type": "input_audio", "audio_url": "x" * 8}), "*[audio: about 6 bytes]*"),
    (user({"type": "input_file", "file_id": "f"}), "*[file: not stored]*"),
    (user({"type": "new_part"}, 7), "*[`new_part`]*\n\n*[`None`]*"),
    (user({"type": "input_image", "image_url": "https://h/i.png"}), "*[image: `https://h/i.png`]*"),
    (user({"type": "input_image", "image_url": {"$blob": "0a.png", "before": ""}}), "*[image: `0a.png`]*"),
    ({"type": "image_generation_call", "result": "A" * 400}, "### Generated image\n\n*[image: about 300 bytes]*"),
    ({"type": "configuration_update", "reasoning": {"effort": "low"}}, '*Settings: `{"effort": "low"}`*'),
    ({"type": "web_search_call", "action": {"query": "`x`"}}, '*Web search: ``{"query": "`x`"}``*'),
    ({"type": "custom_tool_call", "call_id": "a", "name": "`", "input": "x\n"}, "### Call of `` ` ``\n\n```\nx\n```"),
    (
        {"type": "local_shell_call", "call_id": "a", "action": {"command": ["ls"]}},
        '### Call of `local_shell_call`\n\n```json\n{"command"',
    ),
    ({"type": "tool_search_call", "call_id": "a", "arguments": {"q": 1}}, '```json\n{"q": 1}\n```'),
    ({"type": "tool_search_output", "tools": [], "call_id": "b"}, "### Output\n"),
    ({"type": "tool_search_output", "call_id": "b"}, "### Output\n\n```\nnull\n```"),
    (
        {
            "type": "function_call_output",
            "call_id": "a",
            "output": [{"type": "input_text", "text": "````"}, {"type": "input_image"}],
        },
        "### Output\n\n`````\n````\n`````\n\n*[image: not stored]*",
    ),
    (
        {"type": "new_item", "x": 1, "encrypted_content": "g"},
        '### `new_item`\n\n```json\n{"type": "new_item", "x": 1}\n```',
    ),
]


@pytest.mark.parametrize(("entry", "expected"), ENTRIES, ids=[str(entry.get("type")) for entry, _ in ENTRIES])
def test_entry_is_shown(entry: dict[str, Any], expected: str) -> None:
    assert expected in to_markdown([entry])


def test_stored_images_are_linked() -> None:
    entry = user({"type": "input_image", "image_url": {"$blob": "0a.png", "before": ""}})
    assert "![image](my%20chat.jsonl.blobs/0a.png)" in to_markdown([entry], image_folder="my chat.jsonl.blobs")


SECRETS = [
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2ln",
    "sk-proj-abcdefghijklmnop1234",
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_" + "a1B2" * 9,
    "github_pat_" + "a1B2" * 9,
    "xoxb-1234567890-abcdefgh",
    "AIza" + "a1B2c" * 7,
    "hf_" + "a1B2" * 9,
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\nMIIEow, cut off",
]


@pytest.mark.parametrize("secret", SECRETS, ids=[secret[:9] for secret in SECRETS])
def test_secrets_are_removed_by_default(secret: str) -> None:
    entries = [
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": json.dumps({"key": secret})},
        {"type": "function_call_output", "call_id": "a", "output": f"Here: {secret}"},
        user({"type": "input_text", "text": secret}),
    ]
    for text in (to_markdown(entries), to_json(entries)):
        assert "[REDACTED]" in text
        assert secret.splitlines()[-1] not in text
    assert secret.splitlines()[0] in to_markdown(entries, redact=False)
    assert json.loads(to_json(entries, redact=False))["records"] == [item(entry) for entry in entries]


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("postgres://me:hunter2@db/x", "postgres://me:[REDACTED]@db/x"),
        ("PASSWORD=hunter22x", "PASSWORD=[REDACTED]"),
        ('{"api_key": "abcd1234"}', '{"api_key": "[REDACTED]"}'),
        ('{\\"token\\": \\"abcd1234\\"}', '{\\"token\\": \\"[REDACTED]\\"}'),
        ("token = get_token(1)", "token = get_token(1)"),
        ("the password is: short", "the password is: short"),
        ("secret: sk-abcdefghijklmnop1234", "secret: [REDACTED]"),
        ("http://host:8080/path@v2", "http://host:8080/path@v2"),
    ],
)
def test_passwords_are_found_by_their_names(text: str, redacted: str) -> None:
    assert redact_secrets({"text": text}) == {"text": redacted}


def test_encrypted_content_and_images_are_kept() -> None:
    opaque = "data:image/png;base64,/sk-abcdefghijklmnop1234"
    record = {
        "item": {
            "encrypted_content": "-sk-abcdefghijklmnop1234",
            "list": [opaque, 1, None],
            "result": "sk-abcdefghijkl1",
        },
        "image": {"type": "image_generation_call", "result": "/sk-abcdefghijklmnop1234"},
    }
    expected = json.loads(json.dumps(record).replace('"sk-abcdefghijkl1"', '"[REDACTED]"'))
    assert redact_secrets(record) == expected


def test_search_for_secrets_takes_linear_time() -> None:
    started = time.process_time()
    for text in ("-----BEGIN PRIVATE KEY-----" * 2000, "password=" * 10_000, "://a:" * 20_000, "secret" + " " * 50_000):
        redact_secrets({"text": text})
    assert time.process_time() - started < 20


def test_json_has_all_records_and_is_valid() -> None:
    text = to_json([*RECORDS, user("lone \ud800 surrogate, ü")], header={"model": "gpt-x"}, redact=False)
    text.encode()
    assert "ü" in text
    document = json.loads(text)
    assert document["header"] == {"model": "gpt-x"}
    assert document["records"] == [*RECORDS, item(user("lone \ud800 surrogate, ü"))]


def test_control_characters_do_not_reach_a_terminal() -> None:
    text = to_markdown(
        [user("a\x1b]0;title\x07b\u202ec"), {"type": "function_call_output", "output": "\x1b[2J"}], redact=False
    )
    assert "abc" in text
    assert "\x1b" not in text
