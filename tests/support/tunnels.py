"""What can stand between a client and the simulator: TLS with a test certificate, and a tunneling proxy.

Or in the simulator's place: a server that always says the same.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Connections = set[socket.socket]


@contextlib.contextmanager
def _serving(handle: Callable[[socket.socket], None]) -> Iterator[int]:
    """Handle each connection in a thread; yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    connection = server.accept()[0]
                except OSError:
                    return
                threading.Thread(target=_quietly, args=(handle, connection), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def _quietly(handle: Callable[[socket.socket], None], connection: socket.socket) -> None:
    with connection, contextlib.suppress(OSError):
        handle(connection)


def _join(one: socket.socket, other: socket.socket) -> None:
    def pump(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    thread = threading.Thread(target=pump, args=(other, one), daemon=True)
    thread.start()
    pump(one, other)
    thread.join()


@contextlib.contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """Answer every request with these bytes; yield the port."""

    def handle(connection: socket.socket) -> None:
        received = b""
        while data := connection.recv(65536):
            received += data
            head, blank_line, body = received.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            if blank_line and len(body) >= int(length[1] if length else 0):
                connection.sendall(answer)
                received = b""

    with _serving(handle) as own:
        yield own


@contextlib.contextmanager
def tls(certificate: Any, port: int) -> Iterator[str]:
    """Terminate TLS in front of a local port; yield the https address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)

    def handle(connection: socket.socket) -> None:
        with (
            context.wrap_socket(connection, server_side=True) as secure,
            socket.create_connection(("127.0.0.1", port)) as plain,
        ):
            _join(secure, plain)

    with _serving(handle) as own:
        yield f"https://localhost:{own}"


@contextlib.contextmanager
def proxy(heads: list[str], *, only: Mapping[str, int] | None = None) -> Iterator[str]:
    """Tunnel CONNECT requests and reject everything else; each request line is appended to `heads`.

    With `only` these hosts alone are reached, each at a port of this machine that stands for it.
    """

    def handle(connection: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(65536)
        line = head.decode("latin-1").partition("\r\n")[0]
        heads.append(line)
        method, target, _ = line.split(" ")
        host, _, port = target.rpartition(":")
        if method != "CONNECT" or (only is not None and host not in only):
            connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return
        address = (host, int(port)) if only is None else ("127.0.0.1", only[host])
        with socket.create_connection(address) as upstream:
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            _join(connection, upstream)

    with _serving(handle) as own:
        yield f"http://127.0.0.1:{own}"
