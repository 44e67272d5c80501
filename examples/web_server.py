"""Stream responses as server-sent events: `uvicorn web_server:app`, then `curl -N "localhost:8000/ask?question=hi"`."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from openai import OpenAIError

from codex_backend_sdk import AsyncOpenAI

client = AsyncOpenAI()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with client:
        await client.authenticate(interactive=False)  # a missing login stops the server here
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/ask")
async def ask(question: str) -> StreamingResponse:
    async def events() -> AsyncIterator[str]:
        try:
            stream = await client.responses.create(input=question, stream=True)
            async for text in stream.text_deltas():
                yield f"data: {json.dumps({'text': text})}\n\n"
        except OpenAIError as error:  # the status has been sent, so the error is an event
            yield f"event: error\ndata: {json.dumps({'message': str(error)})}\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")
