"""`ask`: one prompt, one answer."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from . import output

if TYPE_CHECKING:
    from openai.types.responses import Response

    from .. import OpenAI

__all__ = ["ask"]


@click.command()
@click.argument("prompt")
@click.option("--model", help="A model of `codex-backend models`.")
@click.option("--stream/--no-stream", default=True, help="Print the answer as it comes (default), or in one piece.")
def ask(prompt: str, model: str | None, stream: bool) -> None:
    """Ask PROMPT and print the answer. With - the prompt is read from standard input."""
    text = sys.stdin.read() if prompt == "-" else prompt
    if not text.strip():
        raise click.UsageError("the prompt is empty")
    from .. import OpenAI

    written: list[str] = []
    try:
        with OpenAI(model=model) as client:
            response = (_streamed if stream else _whole)(client, text, written)
    except BaseException as error:
        if written:
            click.echo()
        _tell_where_it_is(error, is_above=bool(written))
        raise
    click.echo()
    if response is not None and response.status == "incomplete":
        reason = response.incomplete_details.reason if response.incomplete_details else None
        raise click.ClickException(f"the answer is incomplete: {reason or 'the backend gives no reason'}")


def _tell_where_it_is(error: BaseException, *, is_above: bool) -> None:
    """Let the error of a cut answer say where its beginning is: the one who reads it here has no `partial`."""
    cut, is_cut, _ = str(error).partition(" What had arrived is in")
    if is_cut:
        error.args = (f"{cut} {'What had arrived is above; ask' if is_above else 'Ask'} again for a whole answer.",)


def _whole(client: OpenAI, prompt: str, written: list[str]) -> Response:
    response: Response = client.responses.create(input=prompt)
    click.echo(output.printable(response.output_text), nl=False)
    return response


def _streamed(client: OpenAI, prompt: str, written: list[str]) -> Response | None:
    """Print the answer as it comes; the last piece that was printed is left in `written`."""
    response = None
    for event in client.responses.create(input=prompt, stream=True):
        if event.type == "response.output_text.delta" or event.type == "response.refusal.delta":
            written[:] = [output.printable(event.delta)]
            click.echo(written[0], nl=False)
        elif event.type == "response.completed" or event.type == "response.incomplete":
            response = event.response
    return response
