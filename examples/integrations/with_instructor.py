import instructor
from pydantic import BaseModel

from codex_backend_sdk import OpenAI


class Person(BaseModel):
    name: str
    age: int


client = instructor.from_openai(OpenAI(), mode=instructor.Mode.RESPONSES_TOOLS)
person = client.responses.create(
    model="gpt-6.1-terra",
    reasoning={"effort": "low"},
    input=[{"role": "user", "content": "Extract: Bob is 42 years old."}],
    response_model=Person,
)
print(person)
