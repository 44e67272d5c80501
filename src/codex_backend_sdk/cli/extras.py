"""A package that an optional part needs and that is not there is named with the command that installs it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["needs_extra"]


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Turn the missing of a package into an error that names the extra."""
    try:
        yield
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        if name == "codex_backend_sdk":
            raise
        raise click.ClickException(
            f"this needs the package {name}, which is not installed: pip install 'codex-backend-sdk[cli,{extra}]'"
        ) from error
