"""Keep tokens, cookies and prompts out of exceptions: out of their texts, and out of their pickled form.

An exception of openai holds the request, with the access token and the prompt. That is useful in the process that made
the call. Two mechanisms of this module protect what leaves it:

- `redact_error` removes what the server repeated of the request from the texts of an exception and of its causes.
  `body` and `response` keep what the server sent.
- `PicklableError` gives an exception a pickled form, without the request's headers and body. `pickle`, `copy` and
  process pools use it. The official classes cannot be unpickled: pickle would call their constructors with the message
  alone. `make_picklable` therefore turns an exception of an official class into one of a subclass with the same name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import httpx2
import openai

from ._redaction import excerpt, redact, redact_data, sent_secrets

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

__all__ = ["PicklableError", "make_picklable", "redact_causes", "redact_error"]

# Attributes that are not pickled. The failure contains the body, and a conversation has the prompts and the client.
_NOT_PICKLED: Final = frozenset({"_codex_failure", "conversation"})
# The members of an error object that may be text. A server may repeat the prompt in others, such as `input`.
_TEXT_MEMBERS: Final = frozenset(
    {"code", "detail", "error", "error_description", "message", "param", "plan_type", "status", "title", "type"}
)
_COOKIE_HEADERS: Final = frozenset({"set-cookie", "set-cookie2"})


# --- texts -----------------------------------------------------------------------------------------------------------


def redact_error(error: BaseException) -> None:
    """Redact the texts of an exception and of its causes, with the secrets that its request contained."""
    secrets = _secrets_of(error)
    for name, value in vars(error).items():
        if isinstance(value, str):
            setattr(error, name, redact(value, secrets))
    _redact_chain(error, secrets)


def redact_causes(cause: BaseException, request: httpx2.Request) -> None:
    """Redact the texts of the transport's exception for a request, and of its causes. A traceback shows them."""
    _redact_chain(cause, sent_secrets(request.headers.multi_items()))


def _redact_chain(error: BaseException | None, secrets: Collection[str]) -> None:
    for cause in _chain(error):
        _redact_arguments(cause, secrets)
        if isinstance(cause, httpx2.HTTPError) and getattr(cause, "_request", None) is not None:
            cause.request = _without_secrets(cause.request)  # some tools pickle an exception with its causes


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception, its causes and its contexts."""
    seen, pending = set[int](), [error]
    while pending:
        cause = pending.pop()
        if cause is not None and id(cause) not in seen:
            seen.add(id(cause))
            pending += [cause.__cause__, cause.__context__]
            yield cause


def _redact_arguments(error: BaseException, secrets: Collection[str]) -> None:
    redacted = tuple(redact(value, secrets) if isinstance(value, str) else value for value in error.args)
    if redacted != error.args:
        error.args = redacted


def _secrets_of(error: BaseException) -> tuple[str, ...]:
    request = getattr(error, "request", None)
    return () if request is None else sent_secrets(request.headers.multi_items())


# --- pickle ----------------------------------------------------------------------------------------------------------


class PicklableError:
    """Mixin for exceptions: pickle the class, the message and the attributes, without secrets.

    `request` keeps the method and the URL without its query. `response` also keeps the status and the headers, except
    cookies. `body` keeps the numbers and known texts of the error object; `partial` is kept without `instructions`.
    """

    __slots__ = ()

    args: tuple[Any, ...]

    def __reduce__(self) -> tuple[Any, ...]:
        error: Any = self
        secrets = _secrets_of(error)
        state = {name: _safe_value(name, value, secrets) for name, value in vars(self).items()}
        arguments = tuple(redact_data(argument, secrets) for argument in self.args)
        return _restore, (type(self), arguments, {n: value for n, value in state.items() if n not in _NOT_PICKLED})


def _restore(error_class: type[BaseException], arguments: tuple[Any, ...], state: dict[str, Any]) -> BaseException:
    error = error_class.__new__(error_class)  # the constructors take other arguments than `args`
    error.args = arguments
    vars(error).update(state)
    return error


def _safe_value(name: str, value: Any, secrets: Collection[str]) -> Any:
    if name == "body":
        return _safe_body(value, secrets)
    if name == "request" and value is not None:
        return _without_secrets(value)
    if name == "response" and value is not None:
        return _response_without_secrets(value, secrets)
    if name == "partial" and value is not None:
        return value.model_copy(update={"instructions": None})
    return redact_data(value, secrets)


def _safe_body(body: Any, secrets: Collection[str]) -> Any:
    if isinstance(body, str):
        return excerpt(body, secrets)
    if not isinstance(body, dict):
        return None
    return {
        name: redact_data(value, secrets)
        for name, value in body.items()
        if value is None or isinstance(value, (int, float)) or (isinstance(value, str) and name in _TEXT_MEMBERS)
    }


def _without_secrets(request: Any) -> httpx2.Request:
    url = httpx2.URL(str(request.url)).copy_with(username=None, password=None, query=None, fragment=None)
    safe = httpx2.Request(request.method, url)
    safe.headers.clear()
    return safe


def _response_without_secrets(response: Any, secrets: Collection[str]) -> httpx2.Response:
    safe = httpx2.Response(response.status_code, request=_without_secrets(response.request))
    # Set afterwards: `content-encoding` describes a body that this response does not have.
    safe.headers = httpx2.Headers(
        [
            (name, redact(value, secrets))
            for name, value in response.headers.multi_items()
            if name.lower() not in _COOKIE_HEADERS
        ]
    )
    return safe


# The official classes that the client raises, or receives from openai's request pipeline.
_OFFICIAL_CLASSES: Final = (
    openai.APIError,
    openai.APIConnectionError,
    openai.APITimeoutError,
    openai.APIResponseValidationError,
    openai.APIStatusError,
    openai.BadRequestError,
    openai.AuthenticationError,
    openai.PermissionDeniedError,
    openai.NotFoundError,
    openai.ConflictError,
    openai.UnprocessableEntityError,
    openai.RateLimitError,
    openai.InternalServerError,
)
_PICKLABLE_CLASSES: Final[dict[type, type]] = {
    official: type(
        official.__name__,
        (PicklableError, official),
        {"__module__": __name__, "__doc__": f"`openai.{official.__name__}` with a pickled form."},
    )
    for official in _OFFICIAL_CLASSES
}
globals().update({picklable.__name__: picklable for picklable in _PICKLABLE_CLASSES.values()})  # pickle looks here


def make_picklable(error: openai.APIError) -> None:
    """Turn an exception of an official class into one of its picklable subclass."""
    error.__class__ = _PICKLABLE_CLASSES.get(type(error), type(error))
