"""The command `ask`: send one prompt and print the response."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from .exit_codes import ExitCode, ExitError
from .output import print_response_text

if TYPE_CHECKING:
    from openai.types.responses import Response

    from .. import OpenAI

__all__ = ["ask"]


@click.command()
@click.argument("prompt")
@click.option("--model", help="A model that `codex-backend models` lists.")
@click.option(
    "--stream/--no-stream", default=True, help="Print the response as it arrives (default), or when it is complete."
)
def ask(prompt: str, model: str | None, stream: bool) -> None:
    """Send PROMPT and print the response. `-` reads the prompt from standard input."""
    text = _read_prompt(prompt)
    if not text.strip():
        raise click.UsageError("The prompt is empty. Pass a text.")
    from .. import OpenAI

    with OpenAI(model=model) as client:
        if stream:
            response = _print_stream(client, text)
        else:
            response = client.responses.create(input=text)
            print_response_text(response.output_text)
    if response is not None and response.status == "incomplete":
        reason = response.incomplete_details.reason if response.incomplete_details else None
        raise ExitError(
            f"The response is incomplete: {reason or 'the backend sent no reason'}. Change the prompt and try again.",
            ExitCode.INCOMPLETE,
        )


def _read_prompt(prompt: str) -> str:
    """Return the prompt as text. Decode bytes that the locale does not define (`LC_ALL=C`) as UTF-8."""
    try:
        text = sys.stdin.read() if prompt == "-" else prompt
        return text.encode("utf-8", "surrogateescape").decode()
    except UnicodeDecodeError as error:
        source = "Standard input" if prompt == "-" else "PROMPT"
        raise click.UsageError(
            f"{source} is not valid text: it has the byte 0x{error.object[error.start]:02X}. Convert it to UTF-8."
        ) from None
    except UnicodeEncodeError:  # Windows
        raise click.UsageError("PROMPT contains a lone surrogate, which is not a character. Remove it.") from None


def _print_stream(client: OpenAI, prompt: str) -> Response | None:
    """Print the text as it arrives. Print a final newline even if the stream is interrupted."""
    response, has_printed = None, False
    try:
        for event in client.responses.create(input=prompt, stream=True):
            if event.type == "response.output_text.delta" or event.type == "response.refusal.delta":
                print_response_text(event.delta, is_complete=False)
                has_printed = True
            elif event.type == "response.completed" or event.type == "response.incomplete":
                response = event.response
    finally:
        if has_printed or response is not None:
            print_response_text("")
    return response
