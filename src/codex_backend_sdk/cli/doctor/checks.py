"""The checks of `codex-backend doctor`: a function each, and the table CHECKS with their order.

A check is given the context and yields results. Checks run one after another, because later ones use what earlier ones
found: the login, and whether the backend is reachable. They only look: nothing is written, refreshed or opened.
"""

from __future__ import annotations

import errno
import os
import platform
import re
import socket
import stat
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
)
from ..._timefmt import format_duration, format_local_time
from ..output import from_now
from .probe import LOG_IN, CheckContext, ProbeError, get, query, redacted_url
from .report import CheckResult, broken, note, ok, warning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = [
    "CHECKS",
    "OPENAI_VERSIONS",
    "Check",
    "check_network",
    "check_variables",
    "clock_result",
    "openai_version_results",
    "port_result",
    "run_check",
]

Check: TypeAlias = "Callable[[CheckContext], Iterator[CheckResult]]"

# The supported versions of openai, as in pyproject.toml: from the first on, below the second.
OPENAI_VERSIONS: Final = ((3, 15), (4,))

# Variables that other clients use and this package ignores, with what it uses instead.
_IGNORED_VARIABLES: Final = {
    "OPENAI_API_KEY": "the ChatGPT login",
    "OPENAI_BASE_URL": BACKEND_URL_ENV,
    "OPENAI_ORGANIZATION": "the account of the login",
    "OPENAI_PROJECT": "the account of the login",
    "CODEX_API_KEY": "the ChatGPT login",
    "CODEX_REFRESH_TOKEN_URL_OVERRIDE": ISSUER_URL_ENV,
    "REQUESTS_CA_BUNDLE": CA_CERTIFICATE_ENV,
    "CURL_CA_BUNDLE": CA_CERTIFICATE_ENV,
    "NODE_EXTRA_CA_CERTS": CA_CERTIFICATE_ENV,
}
_CA_VARIABLES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR", CA_CERTIFICATE_ENV)
_NOT_KEPT: Final = "A refreshed login cannot be stored and is lost when the program ends."


def run_check(check: Check, context: CheckContext) -> Iterator[CheckResult]:
    """Yield the results of a check. An exception becomes its last result, so that the other checks still run."""
    import openai

    try:
        yield from check(context)
    except ProbeError as error:
        yield error.result
    except (openai.OpenAIError, ValueError) as error:
        yield broken(" ".join(str(error).split()))
    except Exception as error:  # a defect: its message may contain anything, also secrets
        yield broken(f"This check failed with {type(error).__name__}.", "Please report this.")


# --- this machine ---------------------------------------------------------------------------------------------------


def _check_versions(context: CheckContext) -> Iterator[CheckResult]:
    openai_version = metadata.version("openai")
    python = f"{platform.python_implementation()} {platform.python_version()}"
    system = f"{platform.system()} {platform.release()} ({platform.machine()})"
    yield ok(f"codex-backend-sdk {metadata.version('codex-backend-sdk')}, openai {openai_version}, {python}, {system}.")
    yield from openai_version_results(openai_version)


def openai_version_results(version: str) -> Iterator[CheckResult]:
    """Yield a problem for an unsupported version of openai."""
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    lowest, below = OPENAI_VERSIONS
    if not lowest <= numbers < below:
        requirement = f"openai>={'.'.join(map(str, lowest))},<{below[0]}"
        yield broken(f"This package requires {requirement}.", f"Run `pip install '{requirement}'`.")


def check_variables(context: CheckContext) -> Iterator[CheckResult]:
    """Report the environment variables that change where requests go, and those that look as if they did."""
    environment, results = context.environment, []
    urls = {BACKEND_URL_ENV: (context.backend_url, BACKEND_URL), ISSUER_URL_ENV: (context.issuer_url, ISSUER_URL)}
    for name, (url, default) in urls.items():
        if url != default:
            what = f"{name} is set: requests with tokens are sent to {redacted_url(url)}."
            results.append(warning(what, f"Unset {name} unless you mean it."))
    if bool(environment.get(BACKEND_URL_ENV)) != bool(environment.get(ISSUER_URL_ENV)):
        what = f"Only one of {BACKEND_URL_ENV} and {ISSUER_URL_ENV} is set."
        results.append(warning(what, "Set both or none: a login is valid only for the servers that issued it."))
    if environment.get(ACCESS_TOKEN_ENV, "").strip():
        results.append(note(f"{ACCESS_TOKEN_ENV} is set and is used instead of a stored login. It is never renewed."))
    for name, instead in _IGNORED_VARIABLES.items():
        if environment.get(name):
            results.append(note(f"{name} is set and ignored. This package uses {instead}."))
    yield from results or [ok("No variable changes the default behavior.")]


def _check_login(context: CheckContext) -> Iterator[CheckResult]:
    from ...auth import _jwt
    from ..login import resolve_login

    context.resolved = resolved = resolve_login()
    login, now = resolved.login, context.clock()
    if login is None:
        yield broken(str(resolved.problem), LOG_IN)
        return
    text = f"{login.email or 'an account without an email address'}, plan {login.plan or 'unknown'}"
    if login.expires_at is not None:
        verb = "valid until" if login.expires_at > now else "access token expired at"
        text += f"; {verb} {format_local_time(login.expires_at)} ({from_now(login.expires_at, now=now)})"
    if not resolved.is_renewable and _jwt.has_expired(login, now=now):
        yield broken(f"The login has expired and cannot be renewed: {text}.", LOG_IN)
        return
    renewal = "renewed automatically" if resolved.is_renewable else "cannot be renewed"
    yield ok(f"{text}; {renewal}. Stored in {resolved.location}.")
    if login.account_id is None:
        yield warning("The login names no account, but the backend requires one.", LOG_IN)
    if not resolved.is_renewable and login.expires_at is not None and login.expires_at - now < timedelta(days=1):
        yield warning("The login expires soon and cannot be renewed.", LOG_IN)


def _check_store(context: CheckContext) -> Iterator[CheckResult]:
    """Report whether a refreshed login can be stored. What is stored is the subject of the check of the login."""
    from ...auth import FileStore
    from ...auth.stores.auto import default_store

    store = default_store()
    if isinstance(store, FileStore):
        problems = list(_file_problems(Path(os.path.realpath(store.path))))
        yield from problems or [ok(f"{store.location} is writable, and other users cannot read it.")]
    else:
        yield ok(f"Logins are stored in {store.location}.")


def _file_problems(file: Path) -> Iterator[CheckResult]:
    # The file is replaced, not written to, so its folder has to be writable, or the nearest one that exists.
    folder = next((folder for folder in file.parents if folder.exists()), file.parent)
    if not os.access(folder, os.W_OK | os.X_OK):
        yield warning(f"{folder} is not writable. {_NOT_KEPT}", "Make it writable, or set CODEX_HOME.")
    elif file.exists() and os.path.ismount(file):
        yield warning(f"{file} is a mount and cannot be replaced. {_NOT_KEPT}", "Mount its folder instead.")
    if os.name == "posix" and file.exists():
        mode = stat.S_IMODE(file.stat().st_mode)
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            yield warning(f"Other users can access {file} (mode {mode:04o}).", f"Run `chmod 600 {file}`.")
    lock = file.with_name(file.name + ".lock")
    if _is_locked(lock):
        what = f"Another process holds {lock}: it is refreshing the login, or it hangs."
        yield warning(what, "If this persists for a minute, end that process.")


def _is_locked(lock: Path) -> bool:
    """Try a shared lock without creating the file. `filelock` uses the same kind of lock on POSIX."""
    try:
        import fcntl  # not on Windows

        descriptor = os.open(lock, os.O_RDONLY)
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


def _check_browser_login(context: CheckContext) -> Iterator[CheckResult]:
    from ...auth.flows.environment import browser_unavailable_reason

    reason = browser_unavailable_reason(environment=context.environment)
    if reason is None:
        yield ok("`codex-backend login` can open a browser.")
    else:
        yield note(f"`codex-backend login` opens no browser: {reason}.", "Use `codex-backend login --device`.")
    yield port_result(CALLBACK_PORTS)


def port_result(ports: Sequence[int]) -> CheckResult:
    """Return whether the callback of a browser login can be received on one of the ports."""
    free = next((port for port in ports if _is_free(port)), None)
    if free is not None:
        return ok(f"The callback port {free} is free.")
    return warning(
        f"A browser login cannot return to this machine: ports {' and '.join(map(str, ports))} are in use.",
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
    """Report proxies and trusted CAs. ValueError, which names the variable, when a setting cannot be used."""
    import httpx2

    from ...auth._http import open_client

    routes = [f"{_host(url)} is reached {_route(url)}." for url in (context.backend_url, context.issuer_url)]
    yield from map(ok, dict.fromkeys(routes))
    open_client(httpx2.Client).close()
    settings = [f"{name}={context.environment[name]}" for name in _CA_VARIABLES if context.environment.get(name)]
    yield ok(f"CA certificates are loaded from {', '.join(settings)}." if settings else "The default CAs are trusted.")


def _host(url: str) -> str:
    return urlsplit(url).hostname or redacted_url(url)


def _route(url: str) -> str:
    proxies = urllib.request.getproxies()
    proxy = proxies.get("https") or proxies.get("all")
    if urlsplit(url).scheme == "http":  # allowed for loopback only
        return "directly, because it is on this machine"
    if not proxy:
        return "directly"
    if urllib.request.proxy_bypass(_host(url)):
        return "directly, because NO_PROXY names it"
    return f"through the proxy {redacted_url(proxy if '://' in proxy else f'http://{proxy}')}"


def _check_issuer(context: CheckContext) -> Iterator[CheckResult]:
    from ..._urls import require_https_or_loopback

    url = require_https_or_loopback(context.issuer_url, name=ISSUER_URL_ENV)
    get(f"{url}/", context)
    yield ok(f"{url} is reachable.")


def _check_backend(context: CheckContext) -> Iterator[CheckResult]:
    from ..._urls import require_https_or_loopback

    url = require_https_or_loopback(context.backend_url, name=BACKEND_URL_ENV)
    response = get(f"{url}/models", context)
    context.is_backend_reachable = True
    if response.headers.get("cf-mitigated"):
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
        yield clock_result(context.clock() - backend_time)


def clock_result(ahead: timedelta) -> CheckResult:
    """Judge how far the clock of this machine is ahead of the backend's (negative: behind).

    A minute is tolerated, because a Date header has whole seconds and travels for a while.
    """
    if abs(ahead) <= timedelta(minutes=1):
        return ok("The clock of this machine is correct.")
    what = f"The clock of this machine is {format_duration(abs(ahead))} {'fast' if ahead > timedelta(0) else 'slow'}."
    remedy = "Set the clock, or enable time synchronization (NTP)."
    if abs(ahead) <= timedelta(hours=1):
        return warning(f"{what} The login may be refreshed too early or too late.", remedy)
    return broken(f"{what} Logins and certificates seem to be invalid.", remedy)


def _check_account(context: CheckContext) -> Iterator[CheckResult]:
    models, default = query(context, lambda client: (client.models.list().data, client._codex.model))
    text = f"{len(models)} models are available"
    if any(model.id == default for model in models):
        yield ok(f"{text}, including the default, `{default}`.")
    else:
        names = ", ".join(model.id for model in models if model.visibility != "hide")
        yield warning(f"{text}, but not the default, `{default}`.", f"Pass `model=`: {names}." if names else None)
    limits = query(context, lambda client: client.codex.refresh_limits(), failed=warning)
    if limits.is_exhausted or limits.exhausted_window is not None:
        yield warning(f"{limits}.", "Wait for the reset, or see https://chatgpt.com/settings/usage.")
    else:
        yield ok(f"{limits}.")


def _check_workspace(context: CheckContext) -> Iterator[CheckResult]:
    """Report whether the requests of this workspace go to another host. The client remembers that for `explain`."""
    from ..._json import encode
    from ..._routing.resolver import ACCOUNTS_CHECK_PATH
    from ..._routing.workspace_parsing import RoutingProblem, needs_lookup, parse_routing

    client, login = query(context, lambda client: (client, client.credentials.ready()))
    backend = str(client.base_url)
    if login is None or not needs_lookup(login, backend=backend):
        yield ok("Requests of this account go to the backend above.")
        return
    response = query(context, lambda client: client.get(ACCOUNTS_CHECK_PATH, cast_to=object), failed=warning)
    routing = parse_routing(encode(response), account_id=login.account_id or "", backend=backend)
    if isinstance(routing, RoutingProblem):
        what = f"The backend reports no usable routing for this workspace: {routing.value}."
        yield warning(f"{what} Requests go to the backend above.", "If they fail, ask the workspace's administrator.")
        return
    client._routing.store(routing, login, backend=backend)
    override = f", with the routing override `{routing.override}`" if routing.override else ""
    yield ok(f"Requests of this workspace go to {routing.origin or 'the backend above'}{override}.")


CHECKS: Final[dict[str, Check]] = {
    "Versions": _check_versions,
    "Variables": check_variables,
    "Login": _check_login,
    "Store": _check_store,
    "Browser login": _check_browser_login,
    "Network": check_network,
    "Issuer": _check_issuer,
    "Backend": _check_backend,
    "Account": _check_account,
    "Workspace": _check_workspace,
}
