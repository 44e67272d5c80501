"""`python -m bench.fault_call PEER`: make one plain call, and print as a line of JSON what the caller got of it.

A line before that says that the client is made. Runs in the peer's own environment; standard input has the addresses
and the login. Every client is made the way its own documentation makes it, with a time limit, and nothing else is set.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from bench.peers.__main__ import stay_on_this_machine

__all__ = ["PEERS"]

_TIMEOUT_SECONDS = 5.0


def _ours(told: dict[str, Any]) -> Any:
    store = import_module("codex_backend_sdk.auth").MemoryStore(told["login"])
    client = import_module("codex_backend_sdk").OpenAI
    return client(base_url=told["base_url"], issuer=told["issuer"], credentials=store, timeout=_TIMEOUT_SECONDS)


def _original(told: dict[str, Any]) -> Any:
    module: Any = import_module("codex_backend_sdk._client")
    module.BASE_URL = told["base_url"]
    module.WHAM_BASE_URL = told["base_url"].removesuffix("/codex")
    import_module("codex_backend_sdk.oauth").ISSUER = told["issuer"]
    # It reads the login from a file that the caller of this process has written.
    return module.CodexClient(timeout=_TIMEOUT_SECONDS).authenticate(interactive=False)


def _login_with_chatgpt(told: dict[str, Any]) -> Any:
    tokens = told["login"]["tokens"]
    store = import_module("login_with_chatgpt.auth.store").MemoryTokenStore()
    kept = import_module("login_with_chatgpt.auth.models").TokenSet
    known = {name: tokens[name] for name in ("access_token", "refresh_token", "id_token", "account_id")}
    store.save("default", kept(**known, expires_at=told["expires_at"]))
    config = import_module("login_with_chatgpt._config").ProtocolConfig(
        codex_base_url=told["base_url"], issuer=told["issuer"]
    )
    account = import_module("login_with_chatgpt").ChatGPTAccount("default", store=store, config=config)
    return account.openai(timeout=_TIMEOUT_SECONDS)


PEERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "ours": _ours,
    "original-0.5.9": _original,
    "login-with-chatgpt": _login_with_chatgpt,
}


def _error(error: Exception) -> dict[str, Any]:
    """Return the class, and all that a caller can read: the words, and the members that are plain."""
    members = {name: getattr(error, name, None) for name in dir(error) if not name.startswith("_")}
    plain = {name: str(value) for name, value in members.items() if value is not None and not callable(value)}
    kind = type(error)
    return {"module": kind.__module__, "class": kind.__name__, "words": str(error), "members": plain}


def main() -> None:
    """Make the call of the peer that the command line names."""
    told = json.loads(sys.stdin.readline())
    stay_on_this_machine()
    facts: dict[str, Any] = {}
    begun = time.monotonic()
    try:
        client = PEERS[sys.argv[1]](told)
        print("made", flush=True)
        begun = time.monotonic()
        response = client.responses.create(model="gpt-5.5", input=f"Say {told['say']}")
        facts["text"], facts["status"] = response.output_text, getattr(response, "status", None)
    except Exception as error:
        facts["error"] = _error(error)
    print(json.dumps({**facts, "seconds": round(time.monotonic() - begun, 2)}), flush=True)


if __name__ == "__main__":
    main()
