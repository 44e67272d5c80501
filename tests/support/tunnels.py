"""Servers for tests on 127.0.0.1: a TLS terminator, a CONNECT proxy, and a server with one fixed response."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


@contextlib.contextmanager
def _start_server(handle: Callable[[socket.socket], None]) -> Iterator[int]:
    """Start a server that calls `handle` for each connection in a thread, and yield its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def handle_connection(connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):
                handle(connection)

        def accept() -> None:
            while True:
                try:
                    connection = server.accept()[0]
                except OSError:
                    return
                threading.Thread(target=handle_connection, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def _relay(client: socket.socket, server: socket.socket) -> None:
    """Forward bytes in both directions until both sides are closed."""

    def pump(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for connection in (source, target):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    thread = threading.Thread(target=pump, args=(server, client), daemon=True)
    thread.start()
    pump(client, server)
    thread.join()


@contextlib.contextmanager
def serve_response(response: bytes) -> Iterator[int]:
    """Send these bytes as the response to every request; yield the port."""

    def handle(connection: socket.socket) -> None:
        received = b""
        while data := connection.recv(65536):
            received += data
            head, blank_line, body = received.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            if blank_line and len(body) >= int(length[1] if length else 0):
                connection.sendall(response)
                received = b""

    with _start_server(handle) as port:
        yield port


@contextlib.contextmanager
def serve_tls(certificate: Any, server_port: int) -> Iterator[str]:
    """Terminate TLS in front of a local port; yield the https URL."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)

    def handle(connection: socket.socket) -> None:
        with (
            context.wrap_socket(connection, server_side=True) as tls_connection,
            socket.create_connection(("127.0.0.1", server_port)) as server_connection,
        ):
            _relay(tls_connection, server_connection)

    with _start_server(handle) as port:
        yield f"https://localhost:{port}"


@contextlib.contextmanager
def serve_proxy(request_lines: list[str], *, local_ports: Mapping[str, int] | None = None) -> Iterator[str]:
    """Tunnel CONNECT requests, reject all other requests, and append each request line to `request_lines`.

    With `local_ports`, redirect each of these hosts to a port of this machine and reject all other hosts.
    """

    def handle(connection: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(65536)
        line = head.decode("latin-1").partition("\r\n")[0]
        request_lines.append(line)
        method, target, _ = line.split(" ")
        host, _, port = target.rpartition(":")
        if method != "CONNECT" or (local_ports is not None and host not in local_ports):
            connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return
        address = (host, int(port)) if local_ports is None else ("127.0.0.1", local_ports[host])
        with socket.create_connection(address) as server_connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            _relay(connection, server_connection)

    with _start_server(handle) as proxy_port:
        yield f"http://127.0.0.1:{proxy_port}"
