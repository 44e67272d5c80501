"""What running the command leaves, and the types of the fixtures that run it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

__all__ = ["Process", "Ran", "Run", "Spawn", "StoreLogin"]


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run left."""

    code: int
    out: str
    err: str


Process: TypeAlias = "subprocess.Popen[str]"
Run: TypeAlias = Callable[..., Ran]
Spawn: TypeAlias = Callable[..., Process]
StoreLogin: TypeAlias = Callable[..., dict[str, Any]]
