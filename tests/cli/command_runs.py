"""The result of a command, and the types of the fixtures that run it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

__all__ = ["CommandResult", "Process", "Run", "Spawn", "StoreLogin"]


@dataclass(frozen=True, slots=True)
class CommandResult:
    """Exit code and output of a run."""

    code: int
    out: str
    err: str


Process: TypeAlias = "subprocess.Popen[str]"
Run: TypeAlias = Callable[..., CommandResult]
Spawn: TypeAlias = Callable[..., Process]
StoreLogin: TypeAlias = Callable[..., dict[str, Any]]
