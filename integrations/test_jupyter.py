"""Jupyter on this client: notebooks run in a kernel of their own."""

from __future__ import annotations

import os
import re
import time
import urllib.error
import urllib.request
from html import unescape

import nbformat
import pytest
from jupyter_client.manager import start_new_kernel
from nbclient import NotebookClient
from pages import ROOT

RECIPE = (ROOT / "examples" / "integrations" / "with_jupyter.py").read_text(encoding="utf-8")
NOT_APPLICABLE = {
    (feature, mode): "a notebook adds nothing to it" for feature in ("tool", "structured") for mode in ("sync", "async")
}


def run_notebook(*cells):
    """Run the cells as a notebook, and return the outputs of each."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    return [cell.outputs for cell in notebook.cells]


@pytest.mark.covers("plain", "sync")
@pytest.mark.covers("stream", "sync")
def test_recipe_shows_the_response_and_the_limits(sim):
    [outputs] = run_notebook(RECIPE)
    markdown, limits = [output.data for output in outputs]
    assert markdown["text/markdown"] == "hello"
    assert "<progress" in limits["text/html"]
    assert limits["text/plain"].startswith("RateLimits(")


@pytest.mark.covers("plain", "async")
@pytest.mark.covers("stream", "async")
def test_async_client_runs_in_the_loop_of_the_kernel(sim):
    first, second = run_notebook(
        "from codex_backend_sdk import AsyncOpenAI\nclient = AsyncOpenAI()\n"
        "print((await client.responses.create(input='Say hello')).output_text)",
        "stream = await client.responses.create(input='Say hello', stream=True)\n"
        "print([event.delta async for event in stream if event.type == 'response.output_text.delta'])",
    )
    assert [first[0].text, second[0].text] == ["hello\n", "['hello']\n"]


def test_usage_report_is_a_table_without_the_account(sim):
    [[output]] = run_notebook("from codex_backend_sdk import OpenAI\nOpenAI().codex.usage_report()")
    assert output.data["text/html"].count("<progress") >= 2
    assert "@" not in output.data["text/html"]


class Kernel:
    """A kernel with a user, who opens links of the output in a browser on another machine."""

    def __init__(self, environment):
        self.manager, self.client = start_new_kernel(env={**os.environ, **environment})
        self.outputs = []
        self.prompts = []

    def run(self, code, *, reply=None, timeout=60):
        """Run a cell. `reply` returns the text for the input field."""
        self.outputs.clear()

        def answer(message):
            self.prompts.append(message["content"]["prompt"])
            self.client.input(reply(self.link()))

        result = self.client.execute_interactive(
            code,
            allow_stdin=reply is not None,
            stdin_hook=answer,
            output_hook=lambda message: self.outputs.append(message["content"]),
            timeout=timeout,
        )
        return result["content"]

    def link(self):
        """Return the link of the output. The output may arrive after the request for input."""
        while not any("text/html" in output.get("data", {}) for output in self.outputs):
            self.outputs.append(self.client.get_iopub_msg(timeout=30)["content"])
        pages = [output["data"]["text/html"] for output in self.outputs if "text/html" in output.get("data", {})]
        return unescape(re.findall('href="(.+?)"', pages[0])[0])

    def close(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture
def kernel(sim, tmp_path):
    """A kernel without a login and without a browser."""
    (tmp_path / "codex" / "auth.json").unlink()
    started = Kernel({"SSH_TTY": "/dev/pts/0", "BROWSER": ""})
    yield started
    started.close()


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments):
        return None


def log_in_elsewhere(url):
    """Return the URL of the page that a browser on another machine cannot load."""
    with pytest.raises(urllib.error.HTTPError) as redirect:
        urllib.request.build_opener(_NoRedirect).open(url, timeout=30)
    with redirect.value as response:
        return response.headers["location"]


@pytest.mark.parametrize(
    "call",
    [
        "from codex_backend_sdk import OpenAI\nclient = OpenAI().authenticate()",
        "from codex_backend_sdk import AsyncOpenAI\nclient = AsyncOpenAI()\nawait client.authenticate()",
    ],
    ids=["sync", "async"],
)
def test_login_shows_a_link_and_a_field(kernel, call):
    result = kernel.run(call, reply=log_in_elsewhere)
    assert result["status"] == "ok", result
    assert kernel.link().split("?")[0].endswith("/oauth/authorize")
    [prompt] = kernel.prompts
    assert "paste it here" in prompt
    assert (
        kernel.run("print(OpenAI().account().email)" if "Async" not in call else "await client.account()")["status"]
        == "ok"
    )


def test_link_alone_completes_the_login(kernel):
    """A browser on the machine of the kernel reaches it, although the kernel could not open it."""
    code = "from codex_backend_sdk import OpenAI\nOpenAI().authenticate(paste=lambda prompt: None)"
    opened = []

    def open_link(message):
        kernel.outputs.append(message["content"])
        if "text/html" in message["content"].get("data", {}) and not opened:
            opened.append(urllib.request.urlopen(kernel.link(), timeout=30).status)

    result = kernel.client.execute_interactive(code, allow_stdin=False, output_hook=open_link, timeout=60)
    assert result["content"]["status"] == "ok", result
    assert opened == [200]


def test_field_that_is_not_used_does_not_block_later_cells(kernel):
    """The browser reached the kernel, so nothing was pasted. The field of the finished cell stays open."""

    def open_link(message):
        urllib.request.urlopen(kernel.link(), timeout=30).close()

    code = "from codex_backend_sdk import OpenAI\nOpenAI().authenticate()"
    result = kernel.client.execute_interactive(
        code,
        allow_stdin=True,
        stdin_hook=open_link,
        output_hook=lambda message: kernel.outputs.append(message["content"]),
        timeout=60,
    )
    assert result["content"]["status"] == "ok", result
    assert kernel.run("print(OpenAI().account().email)")["status"] == "ok"
    assert {"name": "stdout", "text": "user@example.com\n"} in kernel.outputs


def test_login_without_an_input_field_ends_at_its_timeout(kernel):
    """Programs that run notebooks have no user. The link is in the output."""
    started = time.monotonic()
    result = kernel.run("from codex_backend_sdk import OpenAI\nOpenAI().authenticate(timeout=2)")
    assert result["ename"] == "LoginFailedError"
    assert time.monotonic() - started < 40
    assert kernel.link()
