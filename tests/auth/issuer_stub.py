"""An OAuth issuer on 127.0.0.1 with configurable responses. It records its requests."""

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

AUTH_CLAIM = "https://api.openai.com/auth"


def create_jwt(payload: dict[str, Any]) -> str:
    body = base64.urlsafe_b64encode(json.dumps(payload).encode()).rstrip(b"=").decode()
    return f"eyJhbGciOiJub25lIn0.{body}.sig"


@dataclass
class RecordedRequest:
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
    """The issuer, started as a context manager.

    `token_response` replaces the response of `/oauth/token` (status, body, headers), `omitted_tokens` are missing from
    it, and `delay_seconds` delays it. `callback_query` builds the query of the callback from that of the authorize URL.
    """

    account: str = "acc-1"
    lifetime: timedelta = timedelta(days=10)
    delay_seconds: float = 0.0
    token_response: tuple[int, bytes, dict[str, str]] | None = None
    omitted_tokens: tuple[str, ...] = ()
    callback_query: Callable[[dict[str, str]], dict[str, str]] = lambda query: {"code": "ac_1", "state": query["state"]}
    before_response: Callable[[], object] = lambda: None
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    requests: list[RecordedRequest] = field(default_factory=list)
    token_count: int = 0
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

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def requests_to(self, path: str) -> list[RecordedRequest]:
        return [request for request in self.requests if request.path == path]

    def document(self, *, expires_in: timedelta = timedelta(hours=1), **fields: Any) -> dict[str, Any]:
        """Return an auth.json document with the refresh token that this issuer accepts."""
        return {
            "auth_mode": "chatgpt",
            "OPENAI_API_KEY": None,
            "tokens": {**self.create_tokens(0, expires_in), "account_id": self.account, "login_owner_id": "owner"},
            "last_refresh": (self.clock() - timedelta(days=1)).isoformat(),
            "unknown_field": [1],
            **fields,
        }

    def create_tokens(self, number: int, lifetime: timedelta) -> dict[str, str]:
        claims = {"chatgpt_account_id": self.account, "chatgpt_plan_type": "pro", "chatgpt_user_id": "user-1"}
        exp = (self.clock() + lifetime).timestamp()
        return {
            "id_token": create_jwt({"email": "user@example.com", AUTH_CLAIM: claims}),
            "access_token": create_jwt({"exp": exp, "n": number, AUTH_CLAIM: claims}),
            "refresh_token": f"rt_{number}",
        }

    def _respond(self, handler: BaseHTTPRequestHandler) -> None:
        url = urlsplit(handler.path)
        body = handler.rfile.read(int(handler.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        request = RecordedRequest(handler.command, url.path, dict(parse_qsl(url.query)), headers, body)
        self.requests.append(request)
        status, content, extra = self._route(request)
        handler.send_response(status)
        for name, value in extra.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    def _route(self, request: RecordedRequest) -> tuple[int, bytes, dict[str, str]]:
        if request.path == "/oauth/authorize":
            self.challenge = request.query["code_challenge"]
            callback_url = request.query["redirect_uri"] + "?" + urlencode(self.callback_query(request.query))
            return 302, b"", {"Location": callback_url}
        if request.path == "/oauth/token":
            time.sleep(self.delay_seconds)
            response = self.token_response or self._token(request)
            self.before_response()
            return response
        return 200, b"{}", {}

    def _token(self, request: RecordedRequest) -> tuple[int, bytes, dict[str, str]]:
        with self._lock:
            if "form" in request.headers["content-type"]:
                challenge = base64.urlsafe_b64encode(hashlib.sha256(request.form["code_verifier"].encode()).digest())
                if challenge.rstrip(b"=").decode() != self.challenge:
                    return 400, b'{"error": "invalid_grant", "error_description": "bad verifier"}', {}
            elif request.json["refresh_token"] != self.live_refresh_token:
                return 401, b'{"error": {"code": "refresh_token_reused", "message": "used"}}', {}
            self.token_count += 1
            tokens = self.create_tokens(self.token_count, self.lifetime)
            self.live_refresh_token = tokens["refresh_token"]
        sent = {name: token for name, token in tokens.items() if name not in self.omitted_tokens}
        return 200, json.dumps({**sent, "token_type": "Bearer", "expires_in": 864000}).encode(), {}
