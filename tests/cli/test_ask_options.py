"""Test the options of `codex-backend ask`: attachments, tools, schema, conversations, output and JSON."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from codex_backend_sdk.testing import Turn

if TYPE_CHECKING:
    from pathlib import Path

    from cli.command_runs import Run, Spawn, StoreLogin

    from codex_backend_sdk.testing import Simulator

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name", "age"],
}
posix_only = pytest.mark.skipif(os.name != "posix", reason="needs POSIX")


@pytest.fixture(autouse=True)
def folder(
    store_login: StoreLogin, environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The current folder, and a folder of saved conversations."""
    store_login()
    environment["CODEX_BACKEND_DATA"] = str(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sent(sim: Simulator) -> dict[str, Any]:
    return dict(sim.model_requests[-1].body)


def content(sim: Simulator) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = sent(sim)["input"][-1]["content"]
    return parts


# --- the request ------------------------------------------------------------------------------------------------------


def test_options_become_parameters(run: Run, sim: Simulator, folder: Path) -> None:
    (folder / "rules.md").write_text("Be brief.\n")
    result = run("ask", "hi", "-m", "gpt-5.5", "-e", "low", "-s", "@rules.md", "--web")
    assert result.code == 0
    body = sent(sim)
    assert (body["model"], body["reasoning"]) == ("gpt-5.5", {"effort": "low", "summary": "auto"})
    assert body["tools"] == [{"type": "web_search"}]
    assert "Be brief." in json.dumps(body)


def test_attachments_follow_the_prompt(run: Run, sim: Simulator, folder: Path) -> None:
    (folder / "a.png").write_bytes(PNG)
    (folder / "b.py").write_text("print(1)\n")
    (folder / "c.pdf").write_bytes(b"%PDF-1.7 x")
    result = run("ask", "Explain.", "-a", "b.py", "-i", "a.png", "-f", "b.py", "-f", "c.pdf", "-a", "a.png")
    assert result.code == 0, result.err
    text = {"type": "input_text", "text": '<file name="b.py">\nprint(1)\n</file>'}
    first, image, file, pdf, other, other_image = content(sim)
    assert (first["text"], file, other) == ("Explain.", text, text)
    assert image["image_url"].startswith("data:image/png;base64,")
    assert other_image == image
    assert (pdf["type"], pdf["filename"]) == ("input_file", "c.pdf")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-i", "text.txt"), "text.txt is not a PNG, JPEG, GIF or WebP image."),
        (("-f", "image.png"), "image.png is an image. Pass it with --image"),
        (("-f", "binary"), "binary is neither text nor"),
        (("-f", "latin.txt"), "latin.txt is not valid text: it has the byte 0xE9."),
        (("-i", "missing.png"), "Cannot read missing.png: No such file or directory."),
        (("-a", "."), "it is a folder. Pass a file."),
        (("-i", "https://example.com/a.png"), "https://example.com/a.png is a URL, not a file."),
        (("-f", "HTTP://example.com//a?b"), "HTTP://example.com//a?b is a URL, not a file."),
        (("this",), "unexpected extra argument (this). Put the prompt in quotes"),
        (("this", "and", "that"), "Put the prompt in quotes"),
        (("--schema", '{"type": 7}'), "The schema is not a valid JSON Schema. At $.type:"),
        (("--schema", '{"type"'), "The schema is not JSON"),
        (("--tools", "one.py", "--tools", "two.py"), "one.py, two.py: "),
        (("-i", "-", "-f", "-"), "Standard input (`-`) can be sent once."),
        (("-i", "-", "--stdin"), "so it cannot be the prompt as well."),
        (("-i", "large.png"), "large.png is too large"),
        (("-f", "a\x1b[2Jb"), "Cannot read ab:"),
        (("-s", "@missing.md"), "Cannot read missing.md"),
        (("--schema", "text.txt"), "text.txt is not JSON"),
        (("--schema", "list.json"), "list.json is not a JSON Schema."),
        (("--schema", "invalid.json"), "invalid.json is not a valid JSON Schema. At $.type:"),
        (("--schema", "number.json"), "`$schema` must be a URL."),
        (("--schema", "deep.json"), "deep.json is nested too deeply."),
        (("--tools", "missing.py"), "Cannot read missing.py"),
        (("--tools", "text.txt"), "text.txt is not a Python file"),
        (("--tools", "empty.py"), "empty.py has no public function."),
        (("--tools", "coroutine.py"), "is a coroutine function"),
        (("--tools", "variadic.py"), "variadic.py: "),
        (("-o", "missing/out.txt"), "Cannot write to missing/out.txt"),
        (("-o", "."), "Cannot write to .: Is a directory."),
        (("--json", "--jsonl"), "--json and --jsonl cannot be combined."),
        (("-c", "--conversation", "x"), "--continue and --conversation cannot be combined."),
        (("--output-schema", "list.json", "-x"), "--extract and --schema cannot be combined."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_file_or_option_is_one_line(
    run: Run, sim: Simulator, folder: Path, arguments: tuple[str, ...], message: str
) -> None:
    for name, data in {
        "text.txt": b"text",
        "image.png": PNG,
        "binary": b"MZ\0\1",
        "latin.txt": b"caf\xe9",
        "large.png": PNG + b"\0" * 9_000_000,
        "list.json": b"[]",
        "invalid.json": b'{"type": 7}',
        "number.json": b'{"$schema": 7}',
        "deep.json": b'{"items": ' * 300 + b"{}" + b"}" * 300,
        "one.py": b"def f(x: int):\n    'Doc.'\n",
        "two.py": b"def f(y: int):\n    'Doc.'\n",
        "empty.py": b"import json\n_x = 1\n",
        "coroutine.py": b"async def f():\n    'Doc.'\n",
        "variadic.py": b"def f(*args):\n    'Doc.'\n",
    }.items():
        (folder / name).write_bytes(data)
    result = run("ask", "hi", *arguments)
    assert (result.code, result.out if "--json" not in arguments else "") == (2, "")
    assert message in result.err
    assert result.err.rstrip("\n").rpartition("\n")[2].startswith("Error: ")
    assert sim.requests == []
    assert not (folder / "data").exists()


@pytest.mark.parametrize(
    ("option", "data", "expected"),
    [
        ("-i", PNG, {"type": "input_image"}),
        ("-a", PNG, {"type": "input_image"}),
        ("-f", b"%PDF-1.7 x", {"type": "input_file", "filename": "stdin"}),
        ("-f", b"notes", {"type": "input_text", "text": '<file name="stdin">\nnotes\n</file>'}),
    ],
)
def test_piped_file_is_sent(
    spawn: Spawn, sim: Simulator, folder: Path, option: str, data: bytes, expected: dict[str, str]
) -> None:
    (folder / "data.bin").write_bytes(data)
    with (folder / "data.bin").open("rb") as file, spawn("ask", option, "-", "Say hi.", stdin=file) as process:
        out, err = process.communicate(timeout=40)
    assert (process.returncode, out[:2], err) == (0, "hi", "")
    assert content(sim)[0]["text"] == "Say hi."
    assert {name: content(sim)[1][name] for name in expected} == expected


@posix_only
def test_process_substitution_is_a_file(spawn: Spawn, sim: Simulator) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"diff")
    os.close(writer)
    with spawn("ask", "Say hi.", "-f", f"/dev/fd/{reader}", pass_fds=[reader]) as process:
        os.close(reader)
        process.communicate(timeout=40)
    assert process.returncode == 0
    assert "diff" in content(sim)[1]["text"]


# --- the result -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["--stream", "--no-stream"])
def test_refusal_has_its_text_and_code(run: Run, sim: Simulator, option: str) -> None:
    part = {"type": "refusal", "refusal": "I cannot help."}
    sim.script(Turn.items({"type": "message", "role": "assistant", "content": [part]}))
    result = run("ask", "hi", option)
    assert (result.code, result.out) == (5, "I cannot help.\n")
    assert result.err == "Error: The model refused the prompt. Change the prompt.\n"


def test_json_is_one_object(run: Run) -> None:
    result = run("ask", "Say hi.", "--json")
    data = json.loads(result.out)
    assert (result.code, data["output_text"], data["status"], data["conversation"]) == (0, "hi", "completed", None)
    assert data["usage"]["input_tokens"] > 0
    assert data["limits"][0]["name"] == "5 h"
    assert data["limits"][0]["resets_at"].endswith("+00:00")


def test_json_of_an_incomplete_response_has_text_and_error(run: Run, sim: Simulator) -> None:
    sim.script(Turn.incomplete("max_output_tokens", text="Once upon"))
    result = run("ask", "hi", "--json")
    data = json.loads(result.out)
    assert (result.code, data["output_text"], data["status"]) == (5, "Once upon", "incomplete")
    assert data["error"]["exit_code"] == 5


def test_json_of_an_interrupted_response_has_its_text(run: Run, sim: Simulator) -> None:
    sim.script(*[Turn.text("one two three").cut_after_events(9)] * 3)
    result = run("ask", "hi", "--json")
    data = json.loads(result.out)
    assert (result.code, data["error"]["type"]) == (5, "StreamInterruptedError")
    assert data["output_text"].startswith("one ")


def test_jsonl_has_events_and_then_the_result(run: Run, sim: Simulator) -> None:
    lines = [json.loads(line) for line in run("ask", "Say hi.", "--jsonl").out.splitlines()]
    assert [line["type"] for line in lines[:2]] == ["response.created", "response.in_progress"]
    assert (lines[-1]["type"], lines[-1]["output_text"]) == ("ask.result", "hi")
    sim.fail("usage_limit:plus,3600", times=None)
    lines = [json.loads(line) for line in run("ask", "Say hi.", "--jsonl").out.splitlines()]
    assert lines[-1]["error"]["exit_code"] == 4
    assert lines[-1]["error"]["resets_at"]


def test_json_keeps_text_that_looks_like_a_token(run: Run, sim: Simulator) -> None:
    sim.script(Turn.text("rt_FAKE0123456789abcdef \x1b[2J\x9b\u202e"))
    result = run("ask", "hi", "--json")
    assert json.loads(result.out)["output_text"] == "rt_FAKE0123456789abcdef \x1b[2J\x9b\u202e"
    assert not {"\x1b", "\x9b", "\u202e"} & set(result.out)


CODE = "Here:\n\n```python\nprint(1)\n```\n\n```sh\nls\n```\n"


@pytest.mark.parametrize(
    ("text", "out", "notice"),
    [
        (CODE, "print(1)\n", ""),
        ("- item\n\n  ~~~\n  a\n  ~~~\n", "a\n", ""),
        ("No code.", "No code.\n", "The response has no code block; this is its whole text.\n"),
    ],
)
def test_first_code_block_is_extracted(run: Run, sim: Simulator, text: str, out: str, notice: str) -> None:
    sim.script(Turn.text(text))
    result = run("ask", "hi", "-x")
    assert (result.code, result.out, result.err) == (0, out, notice)


def test_output_file_gets_the_result(run: Run, sim: Simulator, folder: Path) -> None:
    result = run("ask", "Say hi.", "-o", "out.txt")
    assert (result.code, result.out, (folder / "out.txt").read_text()) == (0, "", "hi\n")
    sim.script(Turn.text(CODE))
    run("ask", "Say hi.", "-x", "-o", "out.txt")
    assert (folder / "out.txt").read_text() == "print(1)\n"
    sim.fail("usage_limit", times=None)
    assert run("ask", "hi", "-o", "out.txt").code == 4
    assert run("ask", "hi", "-o", "new.txt").code == 4
    assert (folder / "out.txt").read_text() == "print(1)\n", "an error keeps the old content"
    assert not (folder / "new.txt").exists()


def test_output_dash_is_standard_output(run: Run, folder: Path) -> None:
    result = run("ask", "Say hi.", "-o", "-")
    assert (result.code, result.out) == (0, "hi\n")
    assert not (folder / "-").exists()


def test_dry_run_sends_nothing(run: Run, sim: Simulator, folder: Path) -> None:
    (folder / "tools.py").write_text("def f(x: int) -> int:\n    'Doc.'\n    return x\n")
    result = run("ask", "hi", "--dry-run", "--save", "--tools", "tools.py", "--web", "-m", "gpt-5.5")
    assert result.code == 0
    assert "gpt-5.5" in result.out
    assert "web_search, f" in " ".join(result.out.split())
    assert result.out.endswith("\nMessage:\nhi\n")
    assert "authenticate" not in result.out
    (folder / "a.png").write_bytes(PNG)
    detailed = run("ask", "What?", "--dry-run", "-s", "Be brief.", "-i", "a.png")
    assert "\nInstructions:\nBe brief.\n\nMessage:\nWhat?\n[input_image, 62 characters as base64]\n" in detailed.out
    data = json.loads(run("ask", "hi", "--dry-run", "--json").out)
    assert data["prepared_request"]["body"]["input"][-1]["content"][0]["text"] == "hi"
    assert sim.requests == []
    assert not (folder / "data").exists()


# --- the schema -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code", "problem"),
    [
        ('{"name": "Ann", "age": 3}', 0, ""),
        ('{"name": "Ann"}', 5, "at $, 'age' is a required property"),
        ('{"name": "Ann", "age": -1}', 5, "at $.age, -1 is less than the minimum of 0"),
        ("Ann is 3.", 5, "it is not JSON"),
    ],
)
@pytest.mark.parametrize("continues", [(), ("-c",)])
def test_response_is_checked_against_the_schema(
    run: Run, sim: Simulator, folder: Path, text: str, code: int, problem: str, continues: tuple[str, ...]
) -> None:
    (folder / "person.json").write_text(json.dumps(PERSON))
    if continues:
        run("ask", "Say hi.", "--save", "-q")
    sim.script(Turn.text(text))
    result = run("ask", "A person", "--schema", "person.json", "-q", *continues)
    assert (result.code, result.out) == (code, f"{text}\n")
    assert problem in result.err
    form = sent(sim)["text"]["format"]
    assert (form["name"], form["strict"]) == ("person", True)
    if not code:
        sim.script(Turn.text(text))
        assert json.loads(run("ask", "A person", "--schema", "person.json", "--json", "-q").out)["output"]["age"] == 3


@pytest.mark.parametrize(
    ("change", "is_strict"),
    [({"required": ["name"]}, False), ({"additionalProperties": True}, False), ({"title": "Person"}, True)],
)
def test_schema_is_strict_if_it_can_be(
    run: Run, sim: Simulator, folder: Path, change: dict[str, Any], is_strict: bool
) -> None:
    (folder / "a b.json").write_text(json.dumps(PERSON | change))
    sim.script(Turn.text('{"name": "Ann", "age": 3}'))
    assert run("ask", "A person", "--output-schema", "a b.json").code == 0
    form = sent(sim)["text"]["format"]
    assert (form["name"], form["strict"]) == ("a_b", is_strict)
    if not is_strict:
        assert form["schema"] == PERSON | change


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({"properties": {"a": {"$ref": "https://schemas.invalid/x"}}}, "which it does not have. Put it in `$defs`."),
        ({"properties": {"a": {"$ref": "#/$defs/a"}}}, "which it does not have. Put it in `$defs`."),
        ({"$ref": "#"}, "leads to itself"),
        ({"properties": {"a": {"$ref": "#/properties/a"}}}, "leads to itself"),
    ],
)
def test_response_is_kept_that_the_schema_cannot_check(
    run: Run, sim: Simulator, folder: Path, schema: dict[str, Any], problem: str
) -> None:
    (folder / "ref.json").write_text(json.dumps(schema))
    sim.script(Turn.text('{"a": 1}'))
    result = run("ask", "hi", "--schema", "ref.json", "--json")
    data = json.loads(result.out)
    assert (result.code, data["output_text"], data["error"]["exit_code"]) == (1, '{"a": 1}', 1)
    assert problem in result.err


def test_schema_may_be_json_instead_of_a_file(run: Run, sim: Simulator) -> None:
    sim.script(Turn.text('{"name": "Ann", "age": 3}'))
    result = run("ask", "A person", "--schema", f" {json.dumps(PERSON)}", "--json")
    assert json.loads(result.out)["output"] == {"name": "Ann", "age": 3}
    assert sent(sim)["text"]["format"]["name"] == "schema"


def test_schema_is_never_downloaded(run: Run, sim: Simulator, folder: Path) -> None:
    (folder / "ref.json").write_text(json.dumps({"type": "object", "properties": {"a": {"$ref": f"{sim.url}/x"}}}))
    sim.script(Turn.text('{"a": 1}'))
    result = run("ask", "hi", "--schema", "ref.json")
    assert result.code == 1
    assert "which it does not have. Put it in `$defs`." in result.err
    assert [request.path for request in sim.requests] == ["/backend-api/codex/responses"]


# --- tools ------------------------------------------------------------------------------------------------------------

TOOLS = """
from helper import UNIT
from codex_backend_sdk.tools import tool
print("loaded")

def temperature(city: str) -> str:
    "Return the temperature of a city."
    print("called", city)
    return "21 " + UNIT

def _private() -> str:
    "Not a tool."
"""


@pytest.fixture
def tools(folder: Path) -> str:
    (folder / "helper.py").write_text("UNIT = 'degrees'\n")
    (folder / "tools.py").write_text(TOOLS)
    return "tools.py"


def test_functions_of_a_file_are_called(run: Run, sim: Simulator, tools: str) -> None:
    sim.script(Turn.call("temperature", {"city": "Rome"}), Turn.text("It is 21 degrees."))
    result = run("ask", "How warm is it?", "--tools", tools, "--yes", "--web")
    assert (result.code, result.out) == (0, "It is 21 degrees.\n")
    assert result.err == 'loaded\ntemperature(city="Rome")\ncalled Rome\n'
    assert [tool.get("name", tool["type"]) for tool in sent(sim)["tools"]] == ["web_search", "temperature"]
    assert sent(sim)["input"][-1]["output"] == "21 degrees"


def test_functions_of_several_files_are_sent(run: Run, sim: Simulator, folder: Path, tools: str) -> None:
    (folder / "more.py").write_text("def more(x: int) -> int:\n    'Doc.'\n    return x\n")
    sim.script(Turn.text("hi"))
    assert run("ask", "hi", "--tools", tools, "--tools", "more.py", "--tools", tools, "--yes").code == 0
    assert [tool["name"] for tool in sent(sim)["tools"]] == ["temperature", "more"]


def test_decorated_functions_hide_the_others(run: Run, sim: Simulator, folder: Path, tools: str) -> None:
    (folder / tools).write_text(TOOLS + "\n@tool\ndef chosen(x: int) -> int:\n    'Doc.'\n    return x\n")
    sim.script(Turn.text("hi"))
    assert run("ask", "hi", "--tools", tools, "--yes").code == 0
    assert [tool["name"] for tool in sent(sim)["tools"]] == ["chosen"]


def test_exception_in_a_file_names_its_line(run: Run, sim: Simulator, folder: Path) -> None:
    (folder / "bad.py").write_text("x = 1\nraise KeyError('x')\n")
    result = run("ask", "hi", "--tools", "bad.py", "--yes")
    assert result.code == 1
    assert result.err == "Error: bad.py, line 2 raised KeyError: 'x'. Correct the file.\n"
    assert sim.requests == []


@pytest.mark.parametrize(
    ("body", "failure"),
    [
        ("raise ValueError('kaboom')", "boom failed: ValueError: kaboom"),
        ("raise KeyError", "boom failed: KeyError"),
        ("raise ValueError('one\\ntwo \\x1b[2J')", "boom failed: ValueError: one two"),
    ],
)
def test_failed_call_is_one_line(run_in_process: Run, sim: Simulator, folder: Path, body: str, failure: str) -> None:
    (folder / "tools.py").write_text(f"def boom():\n    'Doc.'\n    {body}\n")
    for options, has_traceback in (((), False), (("--debug",), True)):
        sim.script(Turn.call("boom", {}), Turn.text("Done."))
        result = run_in_process(*options, "ask", "hi", "--tools", "tools.py", "--yes")
        assert (result.code, result.out) == (0, "Done.\n")
        assert failure in result.err
        assert ("Traceback" in result.err) == has_traceback
        if not has_traceback:
            assert [line.split(":")[0] for line in result.err.splitlines()] == ["boom()", "boom failed"]


@pytest.mark.parametrize("status", [0, 3])
def test_function_that_exits_is_an_error(run: Run, sim: Simulator, folder: Path, status: int) -> None:
    (folder / "exits.py").write_text(f"import sys\n\ndef stop() -> str:\n    'Doc.'\n    sys.exit({status})\n")
    sim.script(Turn.call("stop", {}))
    result = run("ask", "hi", "--tools", "exits.py", "--yes", "--json")
    data = json.loads(result.out)
    assert (result.code, data["error"]["type"], data["error"]["exit_code"]) == (1, "SystemExit", 1)
    assert result.err.endswith("Error: A function of --tools called sys.exit(). Raise an exception in it instead.\n")


@posix_only
def test_calls_need_a_terminal_or_yes(spawn: Spawn, sim: Simulator, tools: str) -> None:
    with spawn("ask", "hi", "--tools", tools, start_new_session=True) as process:
        out, err = process.communicate(timeout=40)
    assert (process.returncode, out) == (2, "")
    assert "Pass --yes to allow all." in err
    assert sim.requests == []


def test_call_without_a_function_is_incomplete(run: Run, sim: Simulator) -> None:
    sim.script(Turn.call("temperature", {"city": "Rome"}))
    result = run("ask", "hi")
    assert (result.code, result.out) == (5, "")
    assert "The model called the tool temperature" in result.err


# --- conversations ----------------------------------------------------------------------------------------------------


def messages(sim: Simulator) -> list[str]:
    return [part["text"] for item in sent(sim)["input"] if item["type"] == "message" for part in item["content"]]


def test_saved_conversation_is_continued(run: Run, sim: Simulator) -> None:
    first = run("ask", "Say one.", "--save", "-s", "Be brief.", "-m", "gpt-5.5")
    name = first.err.removeprefix("Conversation: ").strip()
    assert (first.code, first.out, len(name)) == (0, "one\n", 8)
    assert run("ask", "Say two.", "-c").err == first.err
    assert run("ask", "Say three.", "--conversation", name[:4]).err == first.err
    assert messages(sim)[-5:] == ["Say one.", "one", "Say two.", "two", "Say three."]
    assert sent(sim)["model"] == "gpt-5.5"
    assert "Be brief." in json.dumps(sent(sim))
    assert json.loads(run("ask", "Say four.", "-c", "--json", "-q").out)["conversation"] == name


def test_named_conversation_is_created_with_save(run: Run, sim: Simulator) -> None:
    missing = run("ask", "hi", "--conversation", "trip")
    assert (missing.code, sim.requests) == (1, [])
    assert "There is no conversation 'trip'" in missing.err
    assert "To create it, add --save." in missing.err
    assert run("ask", "Say one.", "--conversation", "trip", "--save").err == "Conversation: trip\n"
    assert run("ask", "Say two.", "--conversation", "trip").code == 0
    assert messages(sim)[-3:] == ["Say one.", "one", "Say two."]


@pytest.mark.parametrize("option", ["--no-save", "--ephemeral"])
def test_continued_conversation_may_stay_as_it_is(run: Run, sim: Simulator, option: str) -> None:
    run("ask", "Say one.", "--save")
    assert run("ask", "Say two.", "-c", option).out == "two\n"
    run("ask", "Say three.", "-c")
    assert messages(sim)[-3:] == ["Say one.", "one", "Say three."]


def test_failed_call_leaves_no_conversation(run: Run, sim: Simulator, folder: Path) -> None:
    sim.fail("usage_limit", times=None)
    assert run("ask", "hi", "--save").code == 4
    assert list((folder / "data").rglob("*.jsonl")) == []
    assert run("ask", "hi", "-c").code == 1


def test_web_search_is_for_one_message(run: Run, sim: Simulator) -> None:
    for options in (("--save", "--web"), ("-c",), ("-c", "--web"), ("-c", "--web"), ("-c", "--no-save")):
        assert run("ask", "hi", *options).code == 0
        expected = [{"type": "web_search"}] if "--web" in options else None
        assert (sent(sim).get("tools") or None) == expected, options
        dry = json.loads(run("ask", "hi", *options[:2], "--dry-run", "--json").out)
        assert (dry["prepared_request"]["body"].get("tools") or None) == expected, options


# --- processes --------------------------------------------------------------------------------------------------------


@posix_only
def test_closed_pipe_cancels_the_request(spawn: Spawn, sim: Simulator) -> None:
    sim.script(Turn.text("word " * 500).throttled(100, 0.02))
    with spawn("ask", "hi") as process:
        assert process.stdout.read(5)
        process.stdout.close()
        err = process.stderr.read()
        assert process.wait(timeout=40) == 141
    assert err == ""


@posix_only
def test_ctrl_c_keeps_the_text_and_the_conversation(spawn: Spawn, run: Run, sim: Simulator) -> None:
    import signal

    sim.script(Turn.text("word " * 500).throttled(100, 0.02))
    with spawn("ask", "hi", "--save") as process:
        assert process.stdout.read(5) == "word "
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=40)
    assert process.returncode == 130
    assert out.endswith("\n")
    assert err.endswith("Cancelled.\n")
    run("ask", "Go on.", "-c")
    assert messages(sim)[-2].startswith("word ")


@posix_only
def test_calls_run_in_parallel_and_share_the_login(spawn: Spawn, sim: Simulator) -> None:
    processes = [spawn("ask", f"Say {word}.", "--save", "-q") for word in ("a", "b", "c", "d")]
    results = [(process.communicate(timeout=50), process.returncode) for process in processes]
    assert results == [((f"{word}\n", ""), 0) for word in ("a", "b", "c", "d")]


def test_quiet_prints_the_result_only(run: Run) -> None:
    result = run("ask", "Say hi.", "--save", "-q", "--web")
    assert (result.code, result.out, result.err) == (0, "hi\n", "")
