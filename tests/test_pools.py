"""Test that connections are used by one process and one event loop only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from support.echo_server import EchoServer
from support.forked_programs import run_python_file

from codex_backend_sdk._pools import PooledClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

trustme = pytest.importorskip("trustme")

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="os.fork is not available")

# --- forks -----------------------------------------------------------------------------------------------------------

PRELUDE = """
import asyncio, concurrent.futures, json, multiprocessing, os, signal, sys, threading, traceback, warnings
warnings.simplefilter("ignore")  # of forks with threads
import httpx2
from codex_backend_sdk import AsyncOpenAI, OpenAI, StreamInterruptedError
from codex_backend_sdk.auth._http import open_client
from codex_backend_sdk.types import Login, Secret

url, kind, owner = sys.argv[1:]

class FixedLogin:
    login = Login(access_token=Secret("token"), account_id="account", plan="plus")
    def ready(self):
        return self.login
    def current(self):
        return self.login
    def refresh(self, rejected):
        return self.login

http_class = httpx2.Client if kind == "sync" else httpx2.AsyncClient
client = (OpenAI if kind == "sync" else AsyncOpenAI)(
    base_url=url, credentials=FixedLogin(), max_retries=0, workspace_routing=False, total_timeout=20,
    http_client=open_client(http_class) if owner == "own" else None,
)

async def ask_async(word):
    return (await client.responses.create(input=word)).output_text

def ask(word):
    if kind == "sync":
        return client.responses.create(input=word).output_text
    return asyncio.run(ask_async(word))

def run_child(action):
    '''Fork, run `action` in the child, and return its result.'''
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        try:
            os.write(writer, json.dumps(action()).encode())
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader) as file:
        result = file.read()
    os.waitpid(child, 0)
    return json.loads(result) if result else None

words = [f"word{number}" for number in range(8)]
"""


@pytest.fixture(params=["http", "https"])
def server(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EchoServer]:
    certificate = None
    if request.param == "https":
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        monkeypatch.setenv("CODEX_CA_CERTIFICATE", str(tmp_path / "ca.pem"))
        certificate = authority.issue_cert("127.0.0.1")
    with EchoServer(certificate) as echo_server:
        yield echo_server


def start(program: str, server: EchoServer, kind: str, owner: str = "package") -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "ignore", "-c", PRELUDE + program, server.base_url, kind, owner]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    )


def finish(process: subprocess.Popen[str]) -> Any:
    with process:
        output, errors = process.communicate(timeout=50)
    assert errors == ""
    return json.loads(output.splitlines()[-1])


@pytest.fixture
def run(tmp_path: Path, server: EchoServer) -> Callable[..., Any]:
    def call(program: str, kind: str, owner: str = "package") -> Any:
        (tmp_path / "program.py").write_text(PRELUDE + program, encoding="utf-8")
        arguments = (server.base_url, kind, owner)
        done = run_python_file(tmp_path / "program.py", *arguments, cwd=tmp_path, env=dict(os.environ), timeout=50)
        assert done.stderr == ""
        return json.loads(done.stdout.splitlines()[-1])

    return call


FORKS = """
ask("warm")
with multiprocessing.get_context("fork").Pool(4) as pool:
    texts = [pool.map(ask, words, chunksize=1)]
with concurrent.futures.ProcessPoolExecutor(4, multiprocessing.get_context("fork")) as pool:
    texts += [list(pool.map(ask, words))]
first, second = words[:4], words[4:]
# Workers that serve one after another, and a grandchild.
texts += [[text for part in (first, second) for text in run_child(lambda: [ask(word) for word in part])]]
texts += [run_child(lambda: [ask(word) for word in first] + run_child(lambda: [ask(word) for word in second]))]
print(json.dumps(texts))
"""


# An HTTP client of the caller works in one event loop only.
@needs_fork
@pytest.mark.parametrize(("kind", "owner"), [("sync", "package"), ("sync", "own"), ("async", "package")])
def test_forked_children_get_their_own_responses(
    kind: str, owner: str, server: EchoServer, run: Callable[..., Any]
) -> None:
    assert run(FORKS, kind, owner) == [[f"word{number}" for number in range(8)]] * 4
    assert server.connections[0] == ["warm"], "no child uses the connection of its parent"


@needs_fork
@pytest.mark.parametrize("owner", ["package", "own"])
def test_connection_of_the_parent_survives_its_children(
    owner: str, server: EchoServer, run: Callable[..., Any]
) -> None:
    """A child writes nothing to it: neither a request, nor the end of TLS, nor that of TCP."""
    program = """
ask("first")
def child():
    text = ask("child")
    client.close()
    return text
texts = [run_child(child), run_child(lambda: (client.close(), "closed")[1]), ask("second")]
print(json.dumps(texts))
"""
    assert run(program, "sync", owner) == ["child", "closed", "second"]
    assert server.connections == [["first", "second"], ["child"]]


@needs_fork
def test_async_connection_survives_a_fork_in_its_loop(server: EchoServer, run: Callable[..., Any]) -> None:
    program = """
async def main():
    first = await ask_async("first")
    def child():
        async def use():
            text = await ask_async("child")
            await client.close()
            return text
        return asyncio.run(use())
    texts = [first, run_child(child), await ask_async("second")]
    await client.close()
    return texts
print(json.dumps(asyncio.run(main())))
"""
    assert run(program, "async") == ["first", "child", "second"]
    assert server.connections == [["first", "second"], ["child"]]


OPEN_STREAM = {
    "sync": """
stream = client.responses.create(input="open", stream=True)
types = [next(stream).type]
def child():
    try:
        next(stream)
    except StreamInterruptedError as error:
        return [str(error), error.is_retryable, ask("child")]
result = run_child(child)
print("forked", flush=True)
types += [event.type for event in stream]
print(json.dumps([result, types, ask("last")]))
""",
    "sync, unread": """
stream = client.responses.create(input="open", stream=True)
def child():
    try:
        next(stream)
    except StreamInterruptedError as error:
        return [str(error), error.is_retryable, ask("child")]
result = run_child(child)
print("forked", flush=True)
print(json.dumps([result, [event.type for event in stream], ask("last")]))
""",
    "async": """
async def main():
    stream = await client.responses.create(input="open", stream=True)
    types = [(await anext(stream)).type]
    def child():
        async def use():
            try:
                await anext(stream)
            except StreamInterruptedError as error:
                return [str(error), error.is_retryable, await ask_async("child")]
        return asyncio.run(use())
    result = run_child(child)
    print("forked", flush=True)
    types += [event.type async for event in stream]
    last = await ask_async("last")
    await client.close()
    return [result, types, last]
print(json.dumps(asyncio.run(main())))
""",
}


@needs_fork
@pytest.mark.parametrize("program", OPEN_STREAM.values(), ids=OPEN_STREAM)
def test_open_stream_belongs_to_the_parent(program: str, server: EchoServer) -> None:
    with start(program, server, "async" if "async def main" in program else "sync") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "forked\n"
        server.release.set()
        (message, is_retryable, child), types, last = finish(process)
    assert "before the process was forked" in message
    assert is_retryable is False
    assert types == ["response.created", "response.output_item.done", "response.completed"]
    assert (child, last) == ("child", "last")
    assert server.connections == [["open", "last"], ["child"]]


@needs_fork
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_child_forked_during_a_call_of_another_thread_works(kind: str, server: EchoServer) -> None:
    program = """
texts = []
thread = threading.Thread(target=lambda: texts.append(ask("open")))
thread.start()
sys.stdin.readline()
child = run_child(lambda: [ask("one"), ask("two")])
print("forked", flush=True)
thread.join()
print(json.dumps([child, texts]))
"""
    with start(program, server, kind) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert server.opened.wait(20)
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "forked\n"
        server.release.set()
        assert finish(process) == [["one", "two"], ["open"]]
    assert server.connections[0] == ["open"]


# --- event loops -----------------------------------------------------------------------------------------------------


def test_async_client_works_in_one_loop_after_another(server: EchoServer, run: Callable[..., Any]) -> None:
    """Each loop opens its own connection, and closes it or not."""
    program = """
texts = [ask("one"), ask("two"), ask("three")]
async def twice():
    return [await ask_async("four"), await ask_async("five")]
texts += asyncio.run(twice())
import trio
texts += [trio.run(ask_async, "trio one"), trio.run(ask_async, "trio two"), ask("six")]
async def last():
    async with client:
        return await ask_async("last")
print(json.dumps([*texts, asyncio.run(last()), client.is_closed(), len(client._client._pools._by_owner)]))
"""
    texts = ["one", "two", "three", "four", "five", "trio one", "trio two", "six", "last"]
    assert run(program, "async") == [*texts, True, 1], "pools of earlier loops are dropped"
    assert [len(prompts) for prompts in server.connections] == [1, 1, 1, 2, 1, 1, 1, 1]


def test_async_client_works_in_concurrent_loops(server: EchoServer, run: Callable[..., Any]) -> None:
    program = """
async def many(name):
    return [await ask_async(f"{name} {number}") for number in range(5)]
with concurrent.futures.ThreadPoolExecutor(6) as threads:
    print(json.dumps(list(threads.map(lambda name: asyncio.run(many(name)), words[:6]))))
"""
    assert run(program, "async") == [[f"word{loop} {number}" for number in range(5)] for loop in range(6)]
    assert sorted(len(prompts) for prompts in server.connections) == [5] * 6


def test_http_client_reads_the_pool_of_the_moment() -> None:
    """`httpx2` must read both attributes for each request and when it closes."""
    first = httpx2.MockTransport(lambda request: httpx2.Response(200, text="first"))
    second = httpx2.MockTransport(lambda request: httpx2.Response(200, text="second"))
    client = PooledClient(transport=first)
    assert client.get("http://test/").text == "first"
    client._pools._forget()
    client._pools._open_client = lambda: httpx2.Client(transport=second)
    assert client.get("http://test/").text == "second"
    client.close()
