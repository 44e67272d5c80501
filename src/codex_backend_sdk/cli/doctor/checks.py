"""Define the checks of `codex-backend doctor`. The table CHECKS lists them in the order in which they run.

A check takes a CheckContext and yields CheckResults. Later checks use the results of earlier ones: the login, and
whether the backend is reachable. Checks are read-only: they write no file, refresh no token and open no browser.
"""

from __future__ import annotations

import errno
import os
import platform
import re
import socket
import urllib.request
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import urlsplit

from ..._constants import (
    ACCESS_TOKEN_ENV,
    BACKEND_URL,
    BACKEND_URL_ENV,
    CA_CERTIFICATE_ENV,
    CALLBACK_HOST,
    CALLBACK_PORTS,
    ISSUER_URL,
    ISSUER_URL_ENV,
    TRANSPORT_ENV,
)
from ..._redaction import redact_data, redact_url
from ..._timefmt import format_duration, format_local_time
from ..output import format_relative_time
from .check_context import LOG_IN, CheckAbortedError, CheckContext, call_backend, get_without_login
from .report import CheckResult, error_result, note, ok, warning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = [
    "CHECKS",
    "OPENAI_VERSIONS",
    "Check",
    "check_callback_ports",
    "check_clock",
    "check_network",
    "check_openai_version",
    "check_variables",
    "run_check",
]

Check: TypeAlias = "Callable[[CheckContext], Iterator[CheckResult]]"

# The inclusive lower bound and the exclusive upper bound of the supported openai versions, as in pyproject.toml.
OPENAI_VERSIONS: Final = ((3, 15), (4,))

# Variables that other clients use and this package ignores, with the replacement that this package uses.
_IGNORED_VARIABLES: Final = {
    "OPENAI_API_KEY": "the ChatGPT login",
    "OPENAI_BASE_URL": BACKEND_URL_ENV,
    "OPENAI_ADMIN_KEY": "the ChatGPT login",
    "OPENAI_ORG_ID": "the account of the login",
    "OPENAI_ORGANIZATION": "the account of the login",
    "OPENAI_PROJECT": "the account of the login",
    "OPENAI_PROJECT_ID": "the account of the login",
    "OPENAI_CUSTOM_HEADERS": "`default_headers=`",
    "CODEX_API_KEY": "the ChatGPT login",
    "CODEX_REFRESH_TOKEN_URL_OVERRIDE": ISSUER_URL_ENV,
    "REQUESTS_CA_BUNDLE": CA_CERTIFICATE_ENV,
    "CURL_CA_BUNDLE": CA_CERTIFICATE_ENV,
    "NODE_EXTRA_CA_CERTS": CA_CERTIFICATE_ENV,
}
_SWITCHING_PROTOCOLS: Final = 101
_CA_VARIABLES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR", CA_CERTIFICATE_ENV)
_NO_REFRESH: Final = "The client cannot store a refreshed login, so it does not refresh the login, which will expire."


def run_check(check: Check, context: CheckContext) -> Iterator[CheckResult]:
    """Yield the results of a check, redacted. Convert an exception to its last result: the other checks still run."""
    for result in _results(check, context):
        login = context.resolved_login.login if context.resolved_login is not None else None
        yield redact_data(result, () if login is None else (login.access_token.reveal(),))


def _results(check: Check, context: CheckContext) -> Iterator[CheckResult]:
    import openai

    try:
        yield from check(context)
    except CheckAbortedError as error:
        yield error.result
    except (openai.OpenAIError, ValueError) as error:
        yield error_result(" ".join(str(error).split()))
    except Exception as error:  # a bug in this package, with a message that may contain secrets
        yield error_result(
            f"This check failed with {type(error).__name__}.", "Report it with the output of `codex-backend doctor`."
        )


# --- this machine ---------------------------------------------------------------------------------------------------


def check_versions(context: CheckContext) -> Iterator[CheckResult]:
    openai_version = metadata.version("openai")
    python = f"{platform.python_implementation()} {platform.python_version()}"
    system = f"{platform.system()} {platform.release()} ({platform.machine()})"
    yield ok(f"codex-backend-sdk {metadata.version('codex-backend-sdk')}, openai {openai_version}, {python}, {system}.")
    yield from check_openai_version(openai_version)


def check_openai_version(version: str) -> Iterator[CheckResult]:
    """Yield an error if this version of openai is not supported. Yield nothing otherwise."""
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    lowest, below = OPENAI_VERSIONS
    if not lowest <= numbers < below:
        requirement = f"openai>={'.'.join(map(str, lowest))},<{below[0]}"
        yield error_result(f"This package requires {requirement}.", f"Run `pip install '{requirement}'`.")


def check_variables(context: CheckContext) -> Iterator[CheckResult]:
    """Report the environment variables that change the target of requests, and those that this package ignores."""
    environment, results = context.environment, []
    urls = {BACKEND_URL_ENV: (context.backend_url, BACKEND_URL), ISSUER_URL_ENV: (context.issuer_url, ISSUER_URL)}
    for name, (url, default) in urls.items():
        if url != default:
            message = f"{name} is set: requests with tokens are sent to {redact_url(url)}."
            if url.startswith("http://"):  # the client rejects plain HTTP to another machine
                results.append(note(f"{message} A simulator or a proxy runs on this machine."))
            else:
                results.append(warning(message, f"Unset {name} if you did not intend this."))
    if bool(environment.get(BACKEND_URL_ENV)) != bool(environment.get(ISSUER_URL_ENV)):
        message = f"Only one of {BACKEND_URL_ENV} and {ISSUER_URL_ENV} is set."
        results.append(warning(message, "Set both or neither: a login is valid only for the issuer that issued it."))
    if environment.get(ACCESS_TOKEN_ENV, "").strip():
        results.append(note(f"{ACCESS_TOKEN_ENV} is set and is used instead of a stored login. It is never refreshed."))
    for name, replacement in _IGNORED_VARIABLES.items():
        if environment.get(name):
            results.append(note(f"{name} is set and ignored. This package uses {replacement}."))
    yield from results or [ok("No variable changes the default behavior.")]


def check_login(context: CheckContext) -> Iterator[CheckResult]:
    from ...auth import _jwt
    from ..login import resolve_login

    context.resolved_login = resolved_login = resolve_login()
    login, now = resolved_login.login, context.clock()
    if login is None:
        yield error_result(str(resolved_login.problem), LOG_IN)
        return
    text = f"{login.email or 'an account without an email address'}, plan {login.plan or 'unknown'}"
    if login.expires_at is not None:
        verb = "valid until" if login.expires_at > now else "access token expired at"
        text += f"; {verb} {format_local_time(login.expires_at)} ({format_relative_time(login.expires_at, now=now)})"
    if not resolved_login.is_refreshable and _jwt.has_expired(login, now=now):
        yield error_result(f"The login has expired and cannot be refreshed: {text}.", LOG_IN)
        return
    refresh_text = "refreshed automatically" if resolved_login.is_refreshable else "cannot be refreshed"
    yield ok(f"{text}; {refresh_text}. Stored in {resolved_login.location}.")
    if login.account_id is None:
        yield warning("The login has no account ID, which the backend requires.", LOG_IN)
    if (
        not resolved_login.is_refreshable
        and login.expires_at is not None
        and login.expires_at - now < timedelta(days=1)
    ):
        yield warning("The login expires soon and cannot be refreshed.", LOG_IN)


def check_store(context: CheckContext) -> Iterator[CheckResult]:
    """Report whether a refreshed login can be stored. `check_login` reports the stored login itself."""
    from ...auth import FileStore
    from ...auth.stores.auto import default_store

    store = default_store()
    if isinstance(store, FileStore):
        file = Path(os.path.realpath(store.path))
        is_writable = "is writable, and other users cannot read it" if file.exists() else "can be created"
        yield from list(_file_problems(file)) or [ok(f"{store.location} {is_writable}.")]
    else:
        yield ok(f"Logins are stored in {store.location}.")


def _file_problems(file: Path) -> Iterator[CheckResult]:
    from ..._files import is_mount_point
    from ...auth.stores.permissions import access_problems

    # The file is replaced if its folder is writable, and otherwise written in place. If the folder does not exist, its
    # parent must be writable.
    folder = next((folder for folder in file.parents if folder.exists()), file.parent)
    can_replace = os.access(folder, os.W_OK | os.X_OK) and not is_mount_point(file)
    if not can_replace and not (file.exists() and os.access(file, os.W_OK)):
        yield warning(f"{folder} is not writable. {_NO_REFRESH}", "Make it writable, or set CODEX_HOME.")
    elif is_mount_point(file):
        yield warning(
            f"{file} is mounted without its folder. If another program replaces the file outside of this container, "
            "the login here becomes invalid.",
            "Mount the folder that contains it.",
        )
    for problem in access_problems(file):
        yield warning(*problem)
    lock = file.with_name(file.name + ".lock")
    if _is_locked(lock):
        message = f"Another process holds the lock {lock}. It may be refreshing the login."
        yield warning(message, f"If this lasts for more than a minute, run `lsof {lock}` and stop that process.")


def _is_locked(lock: Path) -> bool:
    """Return whether a process holds the lock. Do not create the file. On POSIX, `filelock` uses `flock`, too."""
    from ..._files import open_regular_file

    try:
        import fcntl  # not on Windows

        descriptor = open_regular_file(lock, os.O_RDONLY)
    except (ImportError, OSError):
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks
        return False
    finally:
        os.close(descriptor)
    return False


def check_browser_login(context: CheckContext) -> Iterator[CheckResult]:
    from ...auth.flows.environment import browser_unavailable_reason

    reason = browser_unavailable_reason(environment=context.environment)
    if reason is None:
        yield ok("`codex-backend login` can open a browser.")
    else:
        yield note(f"`codex-backend login` opens no browser: {reason}.", "Use `codex-backend login --device`.")
    yield check_callback_ports(CALLBACK_PORTS)


def check_callback_ports(ports: Sequence[int]) -> CheckResult:
    """Return a result with the first free callback port, or a warning if all ports are in use."""
    free_port = next((port for port in ports if _is_free(port)), None)
    if free_port is not None:
        return ok(f"The callback port {free_port} is free.")
    return warning(
        f"The browser login cannot receive its callback: ports {' and '.join(map(str, ports))} are in use.",
        "Stop the programs that use them, or use `codex-backend login --device`.",
    )


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        if os.name == "posix":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the login does
        try:
            probe.bind((CALLBACK_HOST, port))
        except OSError as error:
            return error.errno not in (errno.EADDRINUSE, errno.EACCES)
    return True


# --- the network ----------------------------------------------------------------------------------------------------


def check_network(context: CheckContext) -> Iterator[CheckResult]:
    """Report proxies and trusted CAs. Raises ValueError, with the name of the variable, if a setting is invalid."""
    import httpx2

    from ...auth._http import open_client

    open_client(httpx2.Client).close()
    routes = [f"{_host(url)} is reached {_route(url)}." for url in (context.backend_url, context.issuer_url)]
    yield from map(ok, dict.fromkeys(routes))
    settings = [f"{name}={context.environment[name]}" for name in _CA_VARIABLES if context.environment.get(name)]
    yield ok(
        f"CA certificates are loaded from {', '.join(settings)}."
        if settings
        else "The default CA certificates are used."
    )


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or redact_url(url)
    except ValueError:  # its message contains a part of the URL
        return redact_url(url)


def _route(url: str) -> str:
    proxies = urllib.request.getproxies()
    proxy = proxies.get("https") or proxies.get("all")
    if url.lower().startswith("http:"):  # allowed for loopback only
        return "directly, because it is on this machine"
    if not proxy:
        return "directly"
    if urllib.request.proxy_bypass(_host(url)):
        return "directly, because NO_PROXY contains it"
    return f"through the proxy {redact_url(proxy if '://' in proxy else f'http://{proxy}')}"


def check_issuer(context: CheckContext) -> Iterator[CheckResult]:
    from ..._urls import require_https_or_loopback

    url = require_https_or_loopback(context.issuer_url, name=ISSUER_URL_ENV)
    get_without_login(f"{url}/", context)
    yield ok(f"{url} is reachable.")


def check_backend(context: CheckContext) -> Iterator[CheckResult]:
    from ..._urls import require_https_or_loopback

    url = require_https_or_loopback(context.backend_url, name=BACKEND_URL_ENV)
    response = get_without_login(f"{url}/models", context)
    context.is_backend_reachable = response.status_code != 404
    if response.status_code == 404:
        remedy = f"Correct {BACKEND_URL_ENV}: the path of the backend ends in `/backend-api/codex`."
        yield error_result(f"{url} is not a Codex backend: the response has status 404.", remedy)
    elif response.headers.get("cf-mitigated"):
        yield note(f"{url} is reachable, but Cloudflare challenges requests without a login.")
    elif response.status_code >= 500:
        yield warning(f"{url} responds with status {response.status_code}.", "Try again later.")
    else:
        yield ok(f"{url} is reachable.")
    try:
        backend_time = parsedate_to_datetime(response.headers["date"]).astimezone(UTC)
    except (KeyError, ValueError):
        yield note("The clock was not compared: the response has no valid date.")
    else:
        yield check_clock(context.clock() - backend_time)


def check_clock(ahead: timedelta) -> CheckResult:
    """Return a result for the clock skew. `ahead` is positive if the clock of this machine is fast.

    The tolerance is a minute: the Date header has a resolution of a second, and the network delays it.
    """
    if abs(ahead) <= timedelta(minutes=1):
        return ok("The clock of this machine is correct.")
    message = (
        f"The clock of this machine is {format_duration(abs(ahead))} {'fast' if ahead > timedelta(0) else 'slow'}."
    )
    remedy = "Set the clock, or enable time synchronization (NTP)."
    if abs(ahead) <= timedelta(hours=1):
        return warning(f"{message} The login may be refreshed too early or too late.", remedy)
    return error_result(f"{message} Valid logins and certificates can be rejected.", remedy)


def check_account(context: CheckContext) -> Iterator[CheckResult]:
    models, default = call_backend(context, lambda client: (client.models.list().data, client._codex.model))
    hidden = sum(model.visibility == "hide" for model in models)  # `models --all` lists them
    text = f"{len(models) - hidden} models are available{f' and {hidden} hidden ones' if hidden else ''}"
    if any(model.id == default for model in models):
        yield ok(f"{text}, including the default, `{default}`.")
    else:
        names = ", ".join(model.id for model in models if model.visibility != "hide")
        yield warning(f"{text}, but not the default, `{default}`.", f"Pass `model=`: {names}." if names else None)
    limits = call_backend(context, lambda client: client.codex.refresh_limits(), on_error=warning)
    if limits.is_exhausted or limits.exhausted_window is not None:
        message = f"The usage limit is exhausted: {limits}."
        yield warning(message, "Wait for the reset, or check https://chatgpt.com/settings/usage.")
    else:
        yield ok(f"{limits}.")


def check_workspace(context: CheckContext) -> Iterator[CheckResult]:
    """Report the host of the workspace's requests. Store the routing in the client, for the explanation of a call."""
    from ..._json import encode
    from ..._routing.resolver import ACCOUNTS_CHECK_PATH
    from ..._routing.workspace_parsing import RoutingProblem, needs_lookup, parse_routing

    client, login = call_backend(context, lambda client: (client, client.credentials.ready()))
    backend = str(client.base_url)
    if login is None or not needs_lookup(login, backend=backend):
        yield ok(f"Requests of this account go to {redact_url(backend)}.")
        return
    response = call_backend(context, lambda client: client.get(ACCOUNTS_CHECK_PATH, cast_to=object), on_error=warning)
    routing = parse_routing(encode(response), account_id=login.account_id or "", backend=backend)
    if isinstance(routing, RoutingProblem):
        message = f"The backend reports no usable routing for this workspace: {routing.value}."
        yield warning(
            f"{message} Requests go to {redact_url(backend)}.",
            "Contact the administrator of the workspace if they fail.",
        )
        return
    client._routing.store(routing, login, backend=backend)
    override = f", with the routing override `{routing.override}`" if routing.override else ""
    yield ok(f"Requests of this workspace go to {routing.origin or redact_url(backend)}{override}.")


def check_websocket(context: CheckContext) -> Iterator[CheckResult]:
    """Report whether the backend's WebSocket can be opened, which conversations use."""
    status = call_backend(context, lambda client: client._probe_websocket(), on_error=warning)
    if status == _SWITCHING_PROTOCOLS:
        yield ok("The WebSocket of the backend can be opened. Conversations use it.")
    else:
        yield warning(
            f"The WebSocket of the backend cannot be opened: the response has status {status}. "
            "Conversations send their whole history over HTTP.",
            f"Ask whether a proxy blocks WebSockets. Set {TRANSPORT_ENV}=http to use HTTP without trying.",
        )


CHECKS: Final[dict[str, Check]] = {
    "Versions": check_versions,
    "Variables": check_variables,
    "Login": check_login,
    "Store": check_store,
    "Browser login": check_browser_login,
    "Network": check_network,
    "Issuer": check_issuer,
    "Backend": check_backend,
    "Account": check_account,
    "Workspace": check_workspace,
    "WebSocket": check_websocket,
}
