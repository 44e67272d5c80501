"""opencode, a coding agent, on the simulator."""

from __future__ import annotations

import json
import subprocess

import pytest
from node_clients import isolated_environment, path_of_command

from codex_backend_sdk.testing import Turn

_NOT_OFFERED = "it is a command that prints whole answers as text"
NOT_APPLICABLE = {
    ("structured", "sync"): _NOT_OFFERED,
    **{(feature, "async"): _NOT_OFFERED for feature in ("plain", "stream", "tool", "structured")},
}
TIMEOUT_SECONDS = 100
SETTINGS = ("AUTOUPDATE", "MODELS_FETCH", "LSP_DOWNLOAD")


@pytest.fixture
def home(sim, tmp_path):
    login = sim.login_document()["tokens"]
    expires = 4_102_444_800_000  # the year 2100, in milliseconds: it cannot refresh at another address
    oauth = {"type": "oauth", "access": login["access_token"], "refresh": login["refresh_token"], "expires": expires}
    write_json(tmp_path / ".local/share/opencode/auth.json", {"openai": {**oauth, "accountId": login["account_id"]}})
    settings = {
        "autoupdate": False,
        "share": "disabled",
        "provider": {"openai": {"options": {"baseURL": sim.base_url}}},
    }
    write_json(tmp_path / ".config/opencode/opencode.json", settings)
    (tmp_path / "work").mkdir()
    return tmp_path


def write_json(path, content):
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(content))


def run(home, *words):
    """Run one prompt with a model whose tools are functions, and return what it prints."""
    command = [path_of_command("opencode"), "run", "--model", "openai/gpt-5.5", "--title", "test", *words]
    variables = {f"OPENCODE_DISABLE_{name}": "1" for name in SETTINGS}
    result = subprocess.run(
        command,
        cwd=home / "work",
        env=isolated_environment(home, **variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@pytest.mark.covers("plain", "sync")
@pytest.mark.covers("stream", "sync")
def test_prompt_is_answered(sim, home):
    assert run(home, "Say", "hello") == "hello"
    assert sim.requests[-1].json()["stream"] is True


@pytest.mark.covers("tool", "sync")
def test_tool_call_reads_a_file(sim, home):
    file = home / "work" / "poem.txt"
    file.write_text("roses are red")
    sim.script(Turn.call("read", {"filePath": str(file)}), "Done.")
    assert run(home, "Read", "the", "poem.").endswith("Done.")
    (answer,) = (item for item in sim.requests[-1].json()["input"] if item.get("type") == "function_call_output")
    assert "roses are red" in str(answer["output"])
