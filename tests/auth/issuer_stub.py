"""An OAuth issuer on 127.0.0.1 that a test configures, and that records its requests."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

AUTH = "https://api.openai.com/auth"


def jwt(payload: dict[str, Any]) -> str:
    body = base64.urlsafe_b64encode(json.dumps(payload).encode()).rstrip(b"=").decode()
    return f"eyJhbGciOiJub25lIn0.{body}.sig"


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode()))

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class IssuerStub:
    """`refusal` is the response of `/oauth/token` instead of tokens; `approve` builds the query of the callback."""

    account: str = "acc-1"
    lifetime: timedelta = timedelta(days=10)
    delay: float = 0.0
    refusal: tuple[int, bytes, dict[str, str]] | None = None
    omitted: tuple[str, ...] = ()
    approve: Callable[[dict[str, str]], dict[str, str]] = lambda given: {"code": "ac_1", "state": given["state"]}
    before_response: Callable[[], object] = lambda: None
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    requests: list[Request] = field(default_factory=list)
    count: int = 0
    challenge: str = ""
    live_refresh_token: str = "rt_0"

    def __enter__(self) -> IssuerStub:
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                stub._respond(self)

            do_POST = do_GET

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def requests_to(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path == path]

    def document(self, *, expires_in: timedelta = timedelta(hours=1), **members: Any) -> dict[str, Any]:
        """Return an auth.json document with the refresh token that this issuer accepts."""
        return {
            "auth_mode": "chatgpt",
            "OPENAI_API_KEY": None,
            "tokens": {**self._tokens(0, expires_in), "account_id": self.account, "login_owner_id": "owner"},
            "last_refresh": (self.clock() - timedelta(days=1)).isoformat(),
            "of_the_future": [1],
            **members,
        }

    def _tokens(self, number: int, lifetime: timedelta) -> dict[str, str]:
        claims = {"chatgpt_account_id": self.account, "chatgpt_plan_type": "pro", "chatgpt_user_id": "user-1"}
        exp = (self.clock() + lifetime).timestamp()
        return {
            "id_token": jwt({"email": "user@example.com", AUTH: claims}),
            "access_token": jwt({"exp": exp, "n": number, AUTH: claims}),
            "refresh_token": f"rt_{number}",
        }

    def _respond(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        body = handler.rfile.read(int(handler.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        request = Request(handler.command, parts.path, dict(parse_qsl(parts.query)), headers, body)
        self.requests.append(request)
        status, content, extra = self._route(request)
        handler.send_response(status)
        for name, value in extra.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    def _route(self, request: Request) -> tuple[int, bytes, dict[str, str]]:
        if request.path == "/oauth/authorize":
            self.challenge = request.query["code_challenge"]
            back = request.query["redirect_uri"] + "?" + urlencode(self.approve(request.query))
            return 302, b"", {"Location": back}
        if request.path == "/oauth/token":
            time.sleep(self.delay)
            response = self.refusal or self._token(request)
            self.before_response()
            return response
        return 200, b"{}", {}

    def _token(self, request: Request) -> tuple[int, bytes, dict[str, str]]:
        with self._lock:
            if "form" in request.headers["content-type"]:
                challenge = base64.urlsafe_b64encode(hashlib.sha256(request.form["code_verifier"].encode()).digest())
                if challenge.rstrip(b"=").decode() != self.challenge:
                    return 400, b'{"error": "invalid_grant", "error_description": "bad verifier"}', {}
            elif request.json["refresh_token"] != self.live_refresh_token:
                return 401, b'{"error": {"code": "refresh_token_reused", "message": "used"}}', {}
            self.count += 1
            tokens = self._tokens(self.count, self.lifetime)
            self.live_refresh_token = tokens["refresh_token"]
        kept = {name: token for name, token in tokens.items() if name not in self.omitted}
        return 200, json.dumps({**kept, "token_type": "Bearer", "expires_in": 864000}).encode(), {}
