"""Let the model use three functions. Calls run in parallel, and writing a file needs a confirmation.

python examples/agent.py "Write the times in Tokyo and Lima to times.txt"
"""

import sys
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from codex_backend_sdk import OpenAI
from codex_backend_sdk.tools import Deny, ToolCall


def current_time(zone: str) -> str:
    """Return the time in a zone, such as Asia/Tokyo."""
    return datetime.now(UTC).astimezone(ZoneInfo(zone)).isoformat()


def read_file(name: str) -> str:
    """Return the text of a file."""
    return Path(name).read_text()


def write_file(name: str, text: str) -> None:
    """Write a text file."""
    Path(name).write_text(text)


def confirm(call: ToolCall) -> bool | Deny:
    if call.name != "write_file" or input(f"Allow {call.name}({call.arguments})? [y/n] ") == "y":
        return True
    return Deny("The user does not allow it.")


prompt = sys.argv[1] if len(sys.argv) == 2 else sys.exit(__doc__)
with OpenAI().authenticate().codex.conversation() as conversation:
    response = conversation.run(prompt, tools=[current_time, read_file, write_file], on_call=confirm)
    print(response.output_text)
