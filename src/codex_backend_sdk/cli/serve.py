"""The command `serve`: run the local server for the programs of one user."""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
from typing import TYPE_CHECKING, Any

import click

from .login import missing_login
from .output import print_block, print_json, print_text, requires_extra, terminal_width

if TYPE_CHECKING:
    import socket

    from ..server.key_file import ServerKey
    from ..server.server_settings import ServerSettings

__all__ = ["serve"]

_MEGABYTE = 1_000_000
_WARNING = (
    "This server uses your own plan, for your own programs on your own machines. Do not give the address or the key to "
    "other people, and do not publish them: OpenAI's terms of use apply, and anyone with the key can use up your plan."
)
_NO_TLS = (
    "Warning: other machines can reach this server, and it has no TLS: the key and the prompts are readable on the "
    "network. Prefer an SSH tunnel (docs/server.md)."
)


def _check_origin(context: click.Context, parameter: click.Parameter, origins: tuple[str, ...]) -> tuple[str, ...]:
    for origin in origins:
        scheme, separator, rest = origin.partition("://")
        if not (scheme and separator and rest) or "*" in origin or "/" in rest or origin != origin.strip():
            raise click.BadParameter(
                f"{origin!r} is not an origin. Pass the exact value of the header `Origin`, such as "
                "http://localhost:3000 or app://obsidian.md. There is no wildcard."
            )
    return origins


def _check_host_name(context: click.Context, parameter: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if not name or any(character in name for character in "*/: "):
            raise click.BadParameter(f"{name!r} is not a host name. Pass a name without scheme and port.")
    return names


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    help="Port to listen on. 0 selects a free port.",
)
@click.option(
    "--host",
    "hosts",
    multiple=True,
    metavar="ADDRESS",
    help="Address to listen on. Default: 127.0.0.1. Others than loopback need CODEX_SERVER_KEY. Can be repeated.",
)
@click.option(
    "--allowed-host",
    "allowed_hosts",
    multiple=True,
    callback=_check_host_name,
    metavar="NAME",
    help="Accept this name in the header Host, for example of a container or a proxy. Can be repeated.",
)
@click.option(
    "--allow-origin",
    "allowed_origins",
    multiple=True,
    callback=_check_origin,
    metavar="ORIGIN",
    help="Let the web pages of this origin use the server with its key (CORS). Can be repeated.",
)
@click.option(
    "--unsupported",
    type=click.Choice(["drop", "error"]),
    default="drop",
    show_default=True,
    help="Parameters that the backend rejects: drop them and name them in a header, or reject the request.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 1000),
    default=4,
    show_default=True,
    help="Number of model requests that run at the same time. Others wait in a queue.",
)
@click.option(
    "--queue",
    "queue_limit",
    type=click.IntRange(0, 10_000),
    default=100,
    show_default=True,
    help="Number of requests that can wait. Further requests get status 429.",
)
@click.option(
    "--max-body-mb",
    type=click.IntRange(1, 1000),
    default=32,
    show_default=True,
    help="Largest body of a request, decompressed, in megabytes.",
)
@click.option(
    "--reasoning-memory",
    type=click.IntRange(0, 100_000),
    default=1000,
    show_default=True,
    help="Number of tool calls whose reasoning the server keeps in memory, for programs that do not send it back.",
)
@click.option("--no-reasoning", is_flag=True, help="Send no reasoning_content in chat completions.")
@click.option("--list-efforts", is_flag=True, help="List each model with each effort, as MODEL-EFFORT.")
@click.option("--new-key", is_flag=True, help="Replace the key. Programs with the old one are rejected.")
@click.option("--quiet", is_flag=True, help="Do not print a line for each request on standard error.")
@click.option("--json", "as_json", is_flag=True, help="Print the address and the key's file as one line of JSON.")
def serve(
    port: int,
    hosts: tuple[str, ...],
    unsupported: str,
    max_body_mb: int,
    no_reasoning: bool,
    list_efforts: bool,
    new_key: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Serve an OpenAI-compatible API for your own programs.

    It runs on this machine until Ctrl-C, and has /v1/responses (also as a WebSocket), /v1/chat/completions and
    /v1/models. Every request needs the key. The first start creates the key and shows it once; set CODEX_SERVER_KEY to
    use a key of your own. The server prints a line for each request on standard error.
    """
    with requires_extra("server"):
        import starlette  # noqa: F401 - before anything is created
        import uvicorn  # noqa: F401
        import websockets  # noqa: F401

        from ..server.access import is_loopback
        from ..server.key_file import KEY_ENV, load_key
        from ..server.server_settings import ServerSettings
    hosts = hosts or ("127.0.0.1",)
    is_local = all(map(is_loopback, hosts))
    if not is_local and KEY_ENV not in os.environ:
        raise click.UsageError(
            f"Other machines could reach this server. Set {KEY_ENV} to a key of your own, or leave out --host."
        )
    key = load_key(replaces=new_key)
    settings = ServerSettings(
        key=key.value,
        hosts=hosts,
        port=port,
        unsupported="drop" if unsupported == "drop" else "raise",
        max_body_bytes=max_body_mb * _MEGABYTE,
        shows_reasoning=not no_reasoning,
        lists_efforts=list_efforts,
        **options,
    )
    _run(settings, key, as_json=as_json, is_local=is_local)


def _run(settings: ServerSettings, key: ServerKey, *, as_json: bool, is_local: bool) -> None:
    from .._client import AsyncOpenAI
    from .._constants import CHANGES_LOGGER
    from ..server.application import create_app
    from ..server.http_server import LocalServer, listen
    from ..server.request_log import RequestLog

    try:
        sockets = listen(settings.hosts, settings.port)
    except OSError as error:
        raise click.ClickException(error.strerror or str(error)) from error
    # The programs write the whole prompt. The server adds no default instructions.
    client = AsyncOpenAI(unsupported=settings.unsupported, instructions="")
    logging.getLogger(CHANGES_LOGGER).setLevel(logging.ERROR)  # the header and the log of the requests name them
    log = (
        None
        if settings.quiet
        else RequestLog(_print_log_line, key=settings.key, width=lambda: terminal_width(err=True))
    )

    login_problem = _login_problem()

    def report_ready() -> None:
        _print_start(settings, key, sockets, as_json=as_json, is_local=is_local)
        if login_problem is not None:
            print_text(login_problem, err=True, fg="yellow")

    async def run() -> None:
        app = create_app(client, settings, log=log, print_traceback=lambda text: print_block(text, err=True))
        server = LocalServer(
            app, settings, echo=lambda line: print_text(line, err=True, fg="yellow"), on_ready=report_ready
        )
        try:
            await server.serve(sockets)
        finally:
            await client.close()

    asyncio.run(run())
    if log is not None:
        log.print_totals()
    if not as_json:
        print_text("Stopped.")


def _login_problem() -> str | None:
    """Return a line that reports a missing login, or None. The server starts anyway, because a login may follow."""
    from .._exceptions import CredentialStoreError

    try:
        problem = missing_login()
    except CredentialStoreError as error:
        return f"Not logged in. {error}"
    if problem is None:
        return None
    return f"Not logged in. {problem} Run `codex-backend login` in another terminal; this server uses the new login."


def _print_log_line(line: str, is_problem: bool) -> None:
    attributes: dict[str, Any] = {"fg": "yellow"} if is_problem else {}
    print_block(line, err=True, **attributes)


def _print_start(
    settings: ServerSettings, key: ServerKey, sockets: list[socket.socket], *, as_json: bool, is_local: bool
) -> None:
    from ..server.http_server import base_urls

    urls = base_urls(sockets)
    if as_json:
        key_file = None if key.path is None else str(key.path)
        print_json(
            {"base_url": urls[0], "base_urls": urls, "key_file": key_file, "concurrency": settings.concurrency},
            is_one_line=True,
        )
        print_text(_WARNING, err=True)
    else:
        for url in urls:
            print_block(f"OpenAI API   {url}")
        print_block("Key          " + ("CODEX_SERVER_KEY" if key.path is None else str(key.path)))
        or_values = ", or these values in its settings" if key.is_new else ""
        print_text(f"\nSet these variables for a program{or_values}:")
        print_block(f"  export OPENAI_BASE_URL={urls[0]}")
        print_block(f"  export OPENAI_API_KEY={_key_for_shell(key)}")
        if key.is_new:
            print_text("This key is new. It is shown only now.")
        else:
            print_text("If you enter the key in its settings instead, print the key with:")
            print_block(f"  {_key_command(key)}")
        requests = "1 model request runs" if settings.concurrency == 1 else f"{settings.concurrency} model requests run"
        print_text(
            f"\nAt most {requests} at the same time, and others wait, because the backend rejects more than a few at "
            "once from one account. To change this number, pass --concurrency."
        )
        print_text(_WARNING)
        print_text("\nPress Ctrl-C to stop.")
    if not is_local:
        print_text(_NO_TLS, err=True, fg="yellow")


def _key_for_shell(key: ServerKey) -> str:
    if key.is_new:
        return key.value
    return '"$CODEX_SERVER_KEY"' if key.path is None else f'"$({_key_command(key)})"'


def _key_command(key: ServerKey) -> str:
    return 'echo "$CODEX_SERVER_KEY"' if key.path is None else f"cat {shlex.quote(str(key.path))}"
