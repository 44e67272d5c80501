"""Describe an image, show the summary of the reasoning, and look the subject up on the web, in one conversation.

python examples/image_and_search.py photo.png
"""

import base64
import mimetypes
import sys
from pathlib import Path

from codex_backend_sdk import OpenAI

if len(sys.argv) != 2:
    sys.exit(__doc__)
image = Path(sys.argv[1])
media_type = mimetypes.guess_type(image)[0] or "image/png"
data_url = f"data:{media_type};base64,{base64.b64encode(image.read_bytes()).decode()}"

client = OpenAI().authenticate()
with client.codex.conversation(tools=[{"type": "web_search"}], reasoning={"summary": "auto"}) as conversation:
    question = {"type": "input_text", "text": "What does this show?"}
    content = [question, {"type": "input_image", "image_url": data_url}]
    with conversation.stream({"role": "user", "content": content}) as stream:
        for event in stream:
            if event.type == "response.reasoning_summary_text.delta":
                print(event.delta, end="", file=sys.stderr)
            elif event.type == "response.output_text.delta":
                print(event.delta, end="", flush=True)
    response = conversation.send("Look it up on the web, and name your sources.")
    print("\n\n" + response.output_text)
    for item in response.output:
        for part in getattr(item, "content", None) or ():
            print(*(note.url for note in part.annotations if note.type == "url_citation"), sep="\n")
