"""One virtual environment for each library, in .cache/integrations, with the newest versions."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .libraries import Library

__all__ = ["ROOT", "NotInstallableError", "find_uv", "install", "installed_version", "python_of"]

ROOT = Path(__file__).resolve().parent.parent
_CACHE = ROOT / ".cache" / "integrations"
_INSTALL_TIMEOUT_SECONDS = 900
_THIS_PACKAGE = ("--editable", f"{ROOT}[testing]", "pytest", "pytest-timeout")


class NotInstallableError(Exception):
    """A library cannot be installed. The text is the reason of the installer."""


def find_uv() -> str:
    """Return the path of uv: the one that the Makefile installs, or the one on PATH."""
    local = ROOT / ".cache" / "lock" / ("Scripts/uv.exe" if os.name == "nt" else "bin/uv")
    uv = str(local) if local.exists() else shutil.which("uv")
    if uv is None:
        raise SystemExit("uv is not installed. `make integrations` installs it and runs this program.")
    return uv


def install(library: Library, uv: str) -> tuple[Path, str]:
    """Create the environment of a library. Return its folder and a note about what had to be adapted.

    Raises `NotInstallableError` with the reason of the installer.
    """
    home = _CACHE / library.name
    home.mkdir(parents=True, exist_ok=True)
    _run(uv, "venv", "--quiet", "--clear", "--python", _find_python(library.lowest_python), str(home / "venv"))
    command = [uv, "pip", "install", "--quiet", "--python", str(python_of(home)), *_THIS_PACKAGE]
    if library.is_separate:
        _run(*command)
        _run(uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(home / "separate"))
        _run(uv, "pip", "install", "--quiet", "--python", str(python_of(home, "separate")), *library.requirements)
        return home, ""
    command += library.requirements
    try:
        _run(*command)
        note = ""
        if library.overrides:
            note = f"The overrides {', '.join(library.overrides)} are not needed any more."
    except NotInstallableError as conflict:
        if not library.overrides:
            raise
        overrides = home / "overrides.txt"
        overrides.write_text("\n".join(library.overrides) + "\n", encoding="utf-8")
        _run(*command, "--overrides", str(overrides))
        note = f"Installed with the overrides {', '.join(library.overrides)}: {conflict}"
    if library.npm_packages:
        _install_npm_packages(library, home)
    return home, note


def _find_python(lowest: tuple[int, int]) -> str:
    """Return this interpreter, or a newer one if a library needs it."""
    if sys.version_info[:2] >= lowest:
        return sys.executable
    for minor in range(lowest[1], 20):
        on_path = shutil.which(f"python3.{minor}")
        candidates = [Path(on_path)] if on_path else []
        for path in [*candidates, *Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python3")]:
            # A name on PATH may be a stub of pyenv that does not start.
            if subprocess.run([path, "--version"], capture_output=True, timeout=60, check=False).returncode == 0:
                return str(path)
    raise NotInstallableError(f"It needs Python {lowest[0]}.{lowest[1]} or newer, and none was found.")


def _install_npm_packages(library: Library, home: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise NotInstallableError("npm is not installed.")
    packages = [f"{package}@latest" for package in library.npm_packages]
    _run(npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(home), *packages)


def python_of(home: Path, environment: str = "venv") -> Path:
    """Return the interpreter of an environment."""
    return home / environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def installed_version(library: Library, home: Path) -> str:
    """Return the version of the library's first package in its environment."""
    if library.npm_packages:
        package = json.loads((home / "node_modules" / library.npm_packages[0] / "package.json").read_text("utf-8"))
        return str(package["version"])
    name = re.split(r"[\[>=]", library.requirements[0])[0]
    environment = home / ("separate" if library.is_separate else "venv")
    folders = [str(path) for path in environment.glob("**/site-packages")]
    found = [each.version for each in distributions(name=name, path=folders)]
    return found[0] if found else "?"


def _run(*command: str) -> None:
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=_INSTALL_TIMEOUT_SECONDS, check=False, cwd=ROOT
    )
    if result.returncode:
        # uv explains a conflict in many sentences. The first one names it.
        reason = " ".join(result.stderr.split()).partition(" And because ")[0]
        raise NotInstallableError(reason.rpartition("dependencies cause: ")[2])
