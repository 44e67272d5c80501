"""Make calls to servers that send decompression bombs, and print how the peak memory of this process grew.

Run as a program, because the peak is that of a whole process. Every body has some kilobytes, and 100 MB or more after
decompression. The output is one JSON object: the name of a call → its result, and `growth`: the growth of the peak in
MB since a first call of each kind.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import httpx2

from codex_backend_sdk import AsyncOpenAI
from codex_backend_sdk.auth._http import IssuerTransport
from codex_backend_sdk.testing import Simulator, Turn

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SIZE = 100_000_000
LIMIT = 4_000_000
EVENTS = (
    {"type": "response.created", "response": {"id": "resp_1"}},
    {
        "type": "response.output_text.done",
        "output_index": 0,
        "content_index": 0,
        "text": "hello",
    },
)
START = b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in EVENTS)
END = b'\n\ndata: {"type":"response.completed","response":{"id":"resp_1"}}\n\n'
UNITS = {
    "comments": b": keepalive\n",
    "one comment": b":",
    "fields": b"id: 7\n",
    "data lines": b"data: 1\n",
    "empty data lines": b"data:\n",
    "one data line": b"data: ",
    "blank lines": b"\n",
}
# Both clients share the parser, so two units are enough for the reading of the async client: one that the parser skips,
# and one that it keeps.
UNITS_OF_ASYNC_CALLS = {"comments", "one data line"}


def chunks(name: str) -> Iterator[bytes]:
    yield START
    unit = UNITS[name]
    filler = b"x" if name.startswith("one ") else unit
    block = filler * (1_000_000 // len(filler))
    yield unit
    for _ in range(SIZE // len(block)):
        yield block
    yield END


def compress(blocks: Iterator[bytes]) -> bytes:
    compressor = zstd.ZstdCompressor()
    return b"".join(map(compressor.compress, blocks)) + compressor.flush()


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def create(client: Any) -> Any:
    return client.responses.create(input="x").output_text


def stream(client: Any) -> Any:
    return [*client.responses.create(input="x", stream=True)][-1].response.output_text


def run_async(sim: Simulator, call: Callable[[Any], Any]) -> Any:
    async def main() -> Any:
        async with sim.async_client(max_retries=0, max_event_bytes=LIMIT) as client:
            return await call(client)

    return anyio.run(main)


async def async_create(client: AsyncOpenAI) -> Any:
    return (await client.responses.create(input="x")).output_text


async def async_stream(client: AsyncOpenAI) -> Any:
    events = [event async for event in await client.responses.create(input="x", stream=True)]
    return events[-1].response.output_text  # type: ignore[union-attr]


def call_issuer(body: bytes) -> Any:
    def respond(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-encoding": "zstd"}, stream=httpx2.ByteStream(body))

    http = httpx2.Client(transport=httpx2.MockTransport(respond))
    transport = IssuerTransport("https://issuer.example", originator="x", http=http)
    return transport.send(transport.build_request("POST", "/oauth/token", json={}))


def outcome(call: Callable[[], Any]) -> str:
    try:
        return str(call())
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def main() -> None:
    event_stream = {"content-type": "text/event-stream", "content-encoding": "zstd"}
    json_type = {"content-type": "application/json", "content-encoding": "zstd"}
    results = {}
    with Simulator() as sim, sim.client(max_retries=0, max_event_bytes=LIMIT) as client:
        calls: dict[str, Callable[[], Any]] = {
            "create": lambda: create(client),
            "stream": lambda: stream(client),
            "async create": lambda: run_async(sim, async_create),
            "async stream": lambda: run_async(sim, async_stream),
        }
        sim.script(*[Turn.text("hello")] * len(calls))
        for call in calls.values():
            call()
        bodies = {name: compress(chunks(name)) for name in UNITS}
        text = compress(iter([b'"' + b"x" * 1_000_000] * 256))
        start = peak_megabytes()
        for name, body in bodies.items():
            for call_name, call in calls.items():
                if call_name.startswith("async") and name not in UNITS_OF_ASYNC_CALLS:
                    continue
                sim.script(Turn.raw(200, event_stream, body))
                results[f"{call_name}, {name}"] = outcome(call)
        sim.script(Turn.raw(200, json_type, text), Turn.raw(500, json_type, text))
        results["create, JSON"] = outcome(calls["create"])
        results["create, error"] = outcome(calls["create"])
        results["issuer"] = outcome(lambda: call_issuer(text))
        sys.stdout.write(json.dumps({"growth": peak_megabytes() - start, **results}))


if __name__ == "__main__":
    main()
