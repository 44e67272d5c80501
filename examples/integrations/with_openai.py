from openai.lib.responses_tool_runner import RegisteredFunction, ResponsesToolRunner
from pydantic import BaseModel

from codex_backend_sdk import OpenAI


class City(BaseModel):
    city: str


schema = {**City.model_json_schema(), "additionalProperties": False}
tool = {"type": "function", "name": "get_weather", "parameters": schema, "strict": True}
weather = RegisteredFunction(tool, execute=lambda arguments: f"sunny in {arguments['city']}")
runner = ResponsesToolRunner(functions=[weather])

client = OpenAI()
params = {"model": "gpt-6.1-terra", "reasoning": {"effort": "low"}, "input": "What's the weather in Paris?"}
print(runner.run(client, params, max_steps=4).output_text)
