"""CrewAI, in an environment of its own, with the variables of the local server."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from samples import Person, assert_tool_call_with_effort

# The arguments are the folder of this file, the API and the code, whose last line sets `result`.
SCRIPT = """
import asyncio, atexit, json, os, pathlib, sys
sys.path.append(sys.argv[1])
from loopback_only import allow_loopback_only
from samples import EXTRACT, QUESTION, Person, get_weather
hosts = allow_loopback_only()
atexit.register(lambda: hosts and (print(hosts, flush=True), os._exit(1)))  # after telemetry, which is sent at the end
from crewai import LLM, Agent
from crewai.tools import tool
def connect(**settings):
    return LLM(model="openai/gpt-6.1-terra", api=sys.argv[2], reasoning_effort="low", **settings)
def agent(**settings):
    return Agent(role="Forecaster", goal="Forecast the weather", backstory="You are brief.", llm=connect(), **settings)
exec(sys.argv[3])
pathlib.Path("result.json").write_text(json.dumps(result))
"""


@pytest.fixture(params=["responses", "completions"])
def run(request, local_server):
    """Run code in the environment of CrewAI, and return its `result`."""

    def run_code(code):
        python = os.environ["INTEGRATION_SEPARATE_PYTHON"]
        folder = Path(__file__).parent
        # Without the proxies, the script itself sees which hosts are contacted.
        variables = {"HTTP_PROXY": "", "HTTPS_PROXY": "", "OTEL_SDK_DISABLED": "true"}
        local_server.run(python, "-c", SCRIPT, folder, request.param, code, **variables)
        return json.loads((local_server.work / "result.json").read_text())

    return run_code


@pytest.mark.covers("plain", "sync")
@pytest.mark.covers("plain", "async")
@pytest.mark.covers("stream", "sync")
@pytest.mark.covers("stream", "async")
def test_model_returns_the_text(run, sim):
    code = """
prompt, models = "Say hello there", [connect(), connect(stream=True)]
result = [model.call(prompt) for model in models] + [asyncio.run(model.acall(prompt)) for model in models]
"""
    assert run(code) == ["hello there"] * 4
    assert [request.body["reasoning"]["effort"] for request in sim.model_requests] == ["low"] * 4


@pytest.mark.covers("tool", "sync")
@pytest.mark.covers("tool", "async")
@pytest.mark.parametrize("call", ["forecaster.kickoff(QUESTION)", "asyncio.run(forecaster.kickoff_async(QUESTION))"])
def test_agent_calls_the_tool(run, sim, call):
    code = f"forecaster = agent(tools=[tool('get_weather')(get_weather)])\nresult = {call}.raw"
    assert "sunny in " in run(code)
    assert_tool_call_with_effort([request.body for request in sim.model_requests])


@pytest.mark.covers("structured", "sync")
@pytest.mark.covers("structured", "async")
def test_agent_returns_an_object(run):
    code = """
objects = [agent().kickoff(EXTRACT, response_format=Person)]
objects.append(asyncio.run(agent().kickoff_async(EXTRACT, response_format=Person)))
result = [each.pydantic.model_dump() for each in objects]
"""
    assert len([Person.model_validate(values) for values in run(code)]) == 2
