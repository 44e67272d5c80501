import outlines
from pydantic import BaseModel

from codex_backend_sdk import OpenAI


class Person(BaseModel):
    name: str
    age: int


model = outlines.from_openai(OpenAI(), "gpt-6.1-terra")
text = model("Extract: Bob is 42 years old.", Person, reasoning_effort="low")
print(Person.model_validate_json(text))
