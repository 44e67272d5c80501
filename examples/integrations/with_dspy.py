import dspy

from codex_backend_sdk import AsyncOpenAI, OpenAI


class CodexLM(dspy.BaseLM):
    def __init__(self, model="gpt-6.1-terra", **settings):
        super().__init__(model, model_type="responses", **settings)
        self.client, self.async_client = OpenAI(), AsyncOpenAI()

    def forward(self, prompt=None, messages=None, **settings):
        return self.client.responses.create(model=self.model, input=messages or prompt)

    async def aforward(self, prompt=None, messages=None, **settings):
        return await self.async_client.responses.create(model=self.model, input=messages or prompt)


model = CodexLM()
print(model("Say hello")[0])
