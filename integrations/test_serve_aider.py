"""aider, an editor agent that uses litellm, with the variables of the local server."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

_NOT_OFFERED = "it is a command that prints and edits text"
NOT_APPLICABLE = {
    **{(feature, "sync"): _NOT_OFFERED for feature in ("tool", "structured")},
    **{(feature, "async"): _NOT_OFFERED for feature in ("plain", "stream", "tool", "structured")},
}
OPTIONS = ["--model", "openai/gpt-6.1-terra"]
OPTIONS += ["--no-check-update", "--no-show-model-warnings", "--no-analytics", "--yes-always", "--no-pretty"]
OPTIONS += ["--no-gitignore", "--edit-format", "whole", "--map-tokens", "0"]
EDIT = "I add a title.\n\npoem.txt\n```\nRed roses\nroses are red\n```\n"


@pytest.fixture(params=["--stream", "--no-stream"])
def run(request, local_server):
    """Run a message in the repository of the file."""
    git = shutil.which("git")
    if git is None:
        pytest.skip("git is not installed")
    for words in (["init", "-q"], ["config", "user.email", "me@example.com"], ["config", "user.name", "me"]):
        subprocess.run([git, *words], cwd=local_server.work, check=True, timeout=60)

    def run(message, *options):
        command = [
            Path(os.environ["INTEGRATION_SEPARATE_PYTHON"]).with_name("aider"),
            "--model",
            "openai/gpt-6.1-terra",
        ]
        command += [*OPTIONS, request.param, "--message", message, *options]
        variables = {"OPENAI_API_BASE": local_server.base_url, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        return local_server.run(*command, **variables)

    return run


@pytest.mark.covers("plain", "sync")
@pytest.mark.covers("stream", "sync")
def test_file_is_edited_and_committed(run, sim, local_server):
    sim.script(EDIT, "Add a title")
    printed = run("Add a title.", local_server.poem)
    assert local_server.poem.read_text() == "Red roses\nroses are red\n"
    assert "Add a title" in printed
    # The others are for messages of commits.
    assert local_server.log.count(" POST /v1/chat/completions 200 ") == len(sim.model_requests) > 1
