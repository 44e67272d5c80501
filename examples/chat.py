"""Chat in the terminal. The history is in `chat.jsonl`, so the next start continues it. Ctrl-C stops a response.

python examples/chat.py [FILE]
"""

import sys

from openai import OpenAIError

from codex_backend_sdk import OpenAI

path = sys.argv[1] if len(sys.argv) > 1 else "chat.jsonl"
client = OpenAI().authenticate()
with client.codex.conversation(path, instructions="Be brief.") as conversation:
    print(f"{len(conversation)} items in {path}. Ctrl-D ends the chat, /model NAME changes the model.")
    while True:
        try:
            line = input("> ")
        except EOFError:
            break
        if line.startswith("/model "):
            conversation.model = line.removeprefix("/model ").strip()
            continue
        try:
            with conversation.stream(line) as stream:
                for text in stream.text_deltas():
                    print(text, end="", flush=True)
            print()
        except KeyboardInterrupt:
            print(" [stopped]")  # what arrived stays in the history
        except OpenAIError as error:
            print(error, file=sys.stderr)
    usage = conversation.usage
    print(f"\n{usage.total_tokens} tokens, {conversation.cache_hit_ratio:.0%} of the input from the prompt cache.")
