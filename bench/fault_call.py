"""`python -m bench.fault_call PEER`: make one plain call and print its outcome as a line of JSON.

A line `ready` before that marks the moment when the client exists. The process runs in the environment of the peer and
reads the URLs and the login from standard input. Each client is constructed as its documentation shows, with a timeout
and no other setting.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from bench.peers.__main__ import block_other_hosts

__all__ = ["PEERS"]

_TIMEOUT_SECONDS = 5.0


def _ours(settings: dict[str, Any]) -> Any:
    store = import_module("codex_backend_sdk.auth").MemoryStore(settings["login"])
    client = import_module("codex_backend_sdk").OpenAI
    return client(base_url=settings["base_url"], issuer=settings["issuer"], credentials=store, timeout=_TIMEOUT_SECONDS)


def _original(settings: dict[str, Any]) -> Any:
    module: Any = import_module("codex_backend_sdk._client")
    module.BASE_URL = settings["base_url"]
    module.WHAM_BASE_URL = settings["base_url"].removesuffix("/codex")
    oauth: Any = import_module("codex_backend_sdk.oauth")
    oauth.ISSUER = settings["issuer"]
    # This client reads the login from the file in CODEX_HOME, which `bench.faults` has written.
    return module.CodexClient(timeout=_TIMEOUT_SECONDS).authenticate(interactive=False)


def _login_with_chatgpt(settings: dict[str, Any]) -> Any:
    tokens = settings["login"]["tokens"]
    store = import_module("login_with_chatgpt.auth.store").MemoryTokenStore()
    token_set = import_module("login_with_chatgpt.auth.models").TokenSet
    known = {name: tokens[name] for name in ("access_token", "refresh_token", "id_token", "account_id")}
    store.save("default", token_set(**known, expires_at=settings["expires_at"]))
    config = import_module("login_with_chatgpt._config").ProtocolConfig(
        codex_base_url=settings["base_url"], issuer=settings["issuer"]
    )
    account = import_module("login_with_chatgpt").ChatGPTAccount("default", store=store, config=config)
    return account.openai(timeout=_TIMEOUT_SECONDS)


PEERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "ours": _ours,
    "original-0.5.9": _original,
    "login-with-chatgpt": _login_with_chatgpt,
}


def _describe_error(error: Exception) -> dict[str, Any]:
    """Return all that a caller can read in an error: its class, its message, and its plain attributes."""
    members = {name: getattr(error, name, None) for name in dir(error) if not name.startswith("_")}
    plain = {name: str(value) for name, value in members.items() if value is not None and not callable(value)}
    kind = type(error)
    return {"module": kind.__module__, "class": kind.__name__, "message": str(error), "members": plain}


def main() -> None:
    """Make the call of the peer that the command line names."""
    settings = json.loads(sys.stdin.readline())
    block_other_hosts()
    outcome: dict[str, Any] = {}
    start = time.monotonic()
    try:
        client = PEERS[sys.argv[1]](settings)
        print("ready", flush=True)
        start = time.monotonic()
        response = client.responses.create(model="gpt-5.5", input=f"Say {settings['text']}")
        outcome["text"], outcome["status"] = response.output_text, getattr(response, "status", None)
    except Exception as error:
        outcome["error"] = _describe_error(error)
    print(json.dumps({**outcome, "seconds": round(time.monotonic() - start, 2)}), flush=True)


if __name__ == "__main__":
    main()
