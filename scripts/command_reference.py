"""Write docs/commands.md: the exit codes, the JSON objects, and `--help` of every command at 80 columns.

python scripts/command_reference.py            # writes the page
"""

from __future__ import annotations

from pathlib import Path

import click

from codex_backend_sdk.cli.app import codex_backend
from codex_backend_sdk.cli.exit_codes import ExitCode
from codex_backend_sdk.cli.help_format import CommandContext

PAGE = Path(__file__).parents[1] / "docs" / "commands.md"
WIDTH_COLUMNS = 80

INTRODUCTION = """\
# Commands

`pip install` installs the command `codex-backend`. This page is generated: `--help` prints the same text.

```sh
codex-backend login
codex-backend ask "Explain this error." < error.log
codex-backend ask -i photo.jpg "What is this?"
git diff | codex-backend ask -s "You are a strict reviewer." --save
codex-backend ask -c "Show the second point in code." -x > fix.py
```

Standard output has only the result; notices, reasoning, questions and statistics go to standard error. Colors are for
terminals only, and `NO_COLOR` turns them off. Output to pipes and files is UTF-8.

## Standard input

With a prompt, the text of a file or a pipe on standard input is sent with it. On a terminal, the command waits for the
pipe. Without one, a pipe that stays silent for 0.2 seconds is ignored with a notice, so that a command never hangs in
an editor, a CI job or an agent; `--stdin` waits for it. Without a prompt, standard input is the prompt. In a shell loop
over a pipe, pass `--no-stdin`: the command would read the next lines.

## Exit codes

| code | meaning |
|---|---|
{exit_codes}

`--debug` shows the traceback of an error; the exit code is then 1.

## JSON

With `--json`, a command prints one object. All commands except `demo` and `completion` have this option. If a command
fails, the object has a member `error`; the message is also on standard error,
unless standard output is a terminal:

```json
{{
  "error": {{
    "type": "UsageLimitError",
    "message": "The 5 h usage limit of the plus plan is reached. It resets at 2026-11-29 15:00 UTC.",
    "exit_code": 4,
    "code": "usage_limit_reached",
    "request_id": null,
    "resets_at": "2026-11-29T15:00:00+00:00"
  }}
}}
```

`type` is the exception of the package, `code` the error code of the backend, and `resets_at` the time from which the
limit is available again. The member `output_text` beside `error` is the text that was received before the error.

The object of `ask --json` has these members. Those without a value are null.

| member | value |
|---|---|
| `id`, `model`, `request_id` | of the response |
| `status`, `incomplete_reason` | `completed`, or `incomplete` with its reason |
| `output_text` | the text |
| `output` | with `--schema`, the value of the text |
| `refusal` | the text of a refusal |
| `sources` | the URLs that the text cites |
| `conversation` | the ID of a saved conversation |
| `usage` | `input_tokens`, of which `cached_tokens`; `output_tokens`, of which `reasoning_tokens` |
| `limits` | the windows of the plan after the call: `name`, `used_percent`, `resets_at` |
| `seconds` | the duration |

`ask --jsonl` prints each event of the stream as a line, and last this object with the `type` `ask.result`.
"""


def reference() -> str:
    """Return the page."""
    codes = "\n".join(f"| {int(code)} | {code.meaning} |" for code in ExitCode)
    widths = {"terminal_width": WIDTH_COLUMNS, "max_content_width": WIDTH_COLUMNS}
    group = CommandContext(codex_backend, info_name="codex-backend", **{**codex_backend.context_settings, **widths})
    sections = [INTRODUCTION.format(exit_codes=codes), _section("codex-backend", codex_backend.get_help(group))]
    for name in codex_backend.list_commands(group):
        command = codex_backend.get_command(group, name)
        assert command is not None
        sections.append(_section(name, command.get_help(CommandContext(command, parent=group, info_name=name))))
    return "\n".join(sections)


def _section(title: str, text: str) -> str:
    return f"## {title}\n\n```text\n{click.unstyle(text)}\n```\n"


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
    print(f"wrote {PAGE}")
