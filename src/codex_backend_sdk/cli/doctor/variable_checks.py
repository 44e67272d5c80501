"""Variables of the environment that change what happens, or look as if they did."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from ..._constants import ACCESS_TOKEN_ENV, BACKEND_URL, BACKEND_URL_ENV, ISSUER_URL, ISSUER_URL_ENV
from .result import note, ok, warning
from .servers import shown_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .result import Outcome, Scene

__all__ = ["check_variables"]

# Those of the official client and of the Codex CLI that this package leaves alone, and what there is instead.
_NOT_USED: Final = {
    "OPENAI_API_KEY": "the ChatGPT login signs every request",
    "OPENAI_BASE_URL": f"{BACKEND_URL_ENV} names another backend",
    "OPENAI_ORGANIZATION": "the login decides",
    "OPENAI_PROJECT": "the login decides",
    "CODEX_API_KEY": "the ChatGPT login signs every request",
    "CODEX_REFRESH_TOKEN_URL_OVERRIDE": f"{ISSUER_URL_ENV} names another sign-in server",
}
_OVERRIDES: Final = {
    BACKEND_URL_ENV: (BACKEND_URL, "requests and the login's token go"),
    ISSUER_URL_ENV: (ISSUER_URL, "sign-ins and renewals go"),
}


def check_variables(scene: Scene) -> Iterator[Outcome]:
    """Tell which variables are set, and what that means."""
    found = [*_overrides(scene), *_token(scene), *_unused(scene)]
    yield from found or [ok("None is set that changes what happens.")]


def _overrides(scene: Scene) -> Iterator[Outcome]:
    for name, (usual, what) in _OVERRIDES.items():
        given = scene.environment.get(name)
        if given and given.rstrip("/") != usual:
            yield warning(f"{name} is set: {what} to {shown_url(given)}.", f"Unset {name} unless you mean it.")
    names = [name for name in _OVERRIDES if scene.environment.get(name)]
    if len(names) == 1:
        other = next(name for name in _OVERRIDES if name not in names)
        yield warning(
            f"{names[0]} is set and {other} is not.",
            "A login of one server is mostly worth nothing at another: set both, or none.",
        )


def _token(scene: Scene) -> Iterator[Outcome]:
    if not scene.environment.get(ACCESS_TOKEN_ENV, "").strip():
        return
    if _is_login_stored():
        yield warning(
            f"{ACCESS_TOKEN_ENV} is set, and is used instead of the stored login.",
            f"Unset {ACCESS_TOKEN_ENV} to use the stored one.",
        )
    else:
        yield note(f"{ACCESS_TOKEN_ENV} is set: its token is the login. It is never renewed.")


def _unused(scene: Scene) -> Iterator[Outcome]:
    for name, instead in _NOT_USED.items():
        if scene.environment.get(name):
            yield note(f"{name} is set and not used: {instead}.")


def _is_login_stored() -> bool:
    from ...auth.stores.auto import default_store

    with suppress(RuntimeError):  # another check says what is wrong with the store
        return default_store().load() is not None
    return False
