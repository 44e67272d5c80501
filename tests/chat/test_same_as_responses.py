"""Send the same script of turns through Chat Completions and through Responses, and compare what they return."""

from __future__ import annotations

import random
from functools import partial
from typing import Any

import pytest

from codex_backend_sdk.testing import Simulator, Turn

MODEL = "gpt-5.5"
TURNS = 200
# The time of a turn grows with its history, so the turns are those of several chats.
TURNS_OF_A_CHAT = 25
FUNCTION = {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}

# What one turn returned: the text, the calls, and the counts of tokens.
Result = tuple[str, list[tuple[str, str, str]], tuple[int, int, int, int]]


def script() -> list[Turn]:
    """Return turns with texts, one or several calls, and empty texts."""
    generator = random.Random(15)
    turns = []
    for number in range(TURNS):
        kind = generator.choice(["text", "text", "call", "calls"])
        text = " ".join(generator.choices(["one", "two", "drei", "😀", "\n", '"'], k=generator.randrange(30)))
        calls = [("get_weather", {"city": text, "turn": number})] * (1 if kind == "call" else 3)
        turns.append(Turn.text(text) if kind == "text" else Turn.calls(calls))
    return turns


def through_responses(client: Any) -> list[Result]:
    items: list[Any] = []
    results = []
    for number in range(TURNS):
        stream = number % 2 == 1
        if number % TURNS_OF_A_CHAT == 0:
            items = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": f"Begin {number}"}]
        response = client.responses.create(
            model=MODEL,
            instructions="",
            input=items,
            tools=[{"type": "function", **FUNCTION, "strict": False}],
            stream=stream,
        )
        if stream:
            response = list(response)[-1].response
        calls = [each for each in response.output if each.type == "function_call"]
        usage = response.usage
        counts = (
            usage.input_tokens,
            usage.input_tokens_details.cached_tokens,
            usage.output_tokens,
            usage.output_tokens_details.reasoning_tokens,
        )
        results.append((response.output_text, [(call.call_id, call.name, call.arguments) for call in calls], counts))
        # As a chat keeps them: items without ids, and no empty text.
        items += [
            {"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments}
            for call in calls
        ]
        if response.output_text.strip():
            items.append({"role": "assistant", "content": response.output_text})
        items += [{"type": "function_call_output", "call_id": call.call_id, "output": "ok"} for call in calls]
        items.append({"role": "user", "content": f"Go on {number}"})
    return results


def through_chat(client: Any, *, first_streamed: int) -> list[Result]:
    messages: list[Any] = []
    results = []
    for number in range(TURNS):
        stream = number % 2 == first_streamed
        if number % TURNS_OF_A_CHAT == 0:
            messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": f"Begin {number}"}]
        arguments = {"model": MODEL, "messages": messages, "tools": [{"type": "function", "function": FUNCTION}]}
        if stream:
            with client.chat.completions.stream(**arguments, stream_options={"include_usage": True}) as events:
                completion = events.get_final_completion()
        else:
            completion = client.chat.completions.create(**arguments)
        message, usage = completion.choices[0].message, completion.usage
        calls = message.tool_calls or []
        counts = (
            usage.prompt_tokens,
            usage.prompt_tokens_details.cached_tokens,
            usage.completion_tokens,
            usage.completion_tokens_details.reasoning_tokens,
        )
        found = [(call.id, call.function.name, call.function.arguments) for call in calls]
        results.append((message.content or "", found, counts))
        messages += [message]
        messages += [{"role": "tool", "tool_call_id": call.id, "content": "ok"} for call in calls]
        messages.append({"role": "user", "content": f"Go on {number}"})
    return results


@pytest.mark.timeout(300)
def test_chat_returns_the_same_as_responses() -> None:
    """Every turn is compared with and without a stream."""
    sent = []
    results = []
    for run in (through_responses, partial(through_chat, first_streamed=0), partial(through_chat, first_streamed=1)):
        with Simulator() as sim, sim.client(max_retries=0) as client:  # the ids of each simulator are the same
            sim.script(*script())
            results.append(run(client))
        sent.append([request.json() for request in sim.requests if request.path.endswith("/responses")])
    by_responses, by_chat, by_other_streams = results
    assert len(by_chat) == TURNS
    assert [text for text, _, _ in by_chat] == [text for text, _, _ in by_responses]
    assert by_chat == by_responses
    assert by_other_streams == by_chat
    assert sent[1] == sent[0]
    assert sent[2] == sent[0]
    assert sum(counts[1] for _, _, counts in by_chat) > 0
