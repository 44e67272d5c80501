from llm.default_plugins.openai_models import Responses

from codex_backend_sdk import OpenAI


class CodexModel(Responses):
    needs_key = None

    def get_client(self, key, *, async_=False):
        return OpenAI()


model = CodexModel("gpt-6.1-terra", supports_tools=True, supports_schema=True, reasoning=True)
print(model.prompt("Say hello").text())
