from __future__ import annotations

import os
import socket
import sys
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from codex_backend_sdk.auth.flows.ports import listener

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.skipif(not os.path.isdir("/proc/net"), reason="the system shows its sockets in another way")
@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_the_process_that_holds_a_port_is_named(family: socket.AddressFamily, host: str) -> None:
    with socket.create_server((host, 0), family=family) as taken:
        port = taken.getsockname()[1]
        named = listener(port)
    assert named is not None
    assert named.endswith(f"(process {os.getpid()})")
    assert listener(port) is None


def test_where_nothing_can_be_seen_nobody_is_named(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    assert listener(1455, proc=tmp_path) is None
    head = "sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode\n"
    row = "0: 0100007F:05AF 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4242 1\n"
    (tmp_path / "net" / "tcp").write_text(head + row)
    (tmp_path / "77" / "fd").mkdir(parents=True)
    (tmp_path / "77" / "fd" / "1").symlink_to("/dev/null")
    (tmp_path / "77" / "fd" / "2").write_text("not a link")
    (tmp_path / "78").mkdir()
    assert listener(1455, proc=tmp_path) is None, "the socket of another user"
    (tmp_path / "77" / "fd" / "3").symlink_to("socket:[4242]")
    (tmp_path / "77" / "comm").write_text("codex\n")
    assert listener(1455, proc=tmp_path) == "codex (process 77)"
    assert listener(1457, proc=tmp_path) is None


class Psutil(ModuleType):
    """The package psutil on a system that has no /proc."""

    Error = OSError
    CONN_LISTEN = "LISTEN"
    is_allowed = True

    def net_connections(self, kind: str) -> list[SimpleNamespace]:
        if not self.is_allowed:
            raise self.Error("macOS shows it to root alone")
        rows = [(1455, "ESTABLISHED", 1), (1457, "LISTEN", 2), (1455, "LISTEN", None), (1455, "LISTEN", 77)]
        return [SimpleNamespace(laddr=SimpleNamespace(port=port), status=status, pid=pid) for port, status, pid in rows]

    def Process(self, pid: int) -> SimpleNamespace:
        return SimpleNamespace(name=lambda: f"program {pid}")


def test_elsewhere_psutil_knows_where_it_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    psutil = Psutil("psutil")
    monkeypatch.setitem(sys.modules, "psutil", psutil)
    assert listener(1455, proc=tmp_path) == "program 77 (process 77)"
    assert listener(1, proc=tmp_path) is None
    psutil.is_allowed = False
    assert listener(1455, proc=tmp_path) is None
    monkeypatch.setitem(sys.modules, "psutil", None)
    assert listener(1455, proc=tmp_path) is None
