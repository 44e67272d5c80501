from IPython.display import Markdown, display

from codex_backend_sdk import OpenAI

client = OpenAI()
conversation = client.codex.conversation()


def ask(question):
    text = ""
    output = display(Markdown(text), display_id=True)
    for delta in conversation.stream(question, reasoning={"effort": "low"}).text_deltas():
        text += delta
        if output:
            output.update(Markdown(text))


ask("Say hello")
display(client.codex.limits)
