"""Check what a release would publish: the wheel and the sdist, their contents, and that they install and run.

    python scripts/release_check.py --quick     build, check the contents and the metadata (seconds)
    python scripts/release_check.py             also install them on each Python of this machine, with the lowest and
                                                the newest dependencies, and run the demo there (minutes)

The distributions are in `dist/` afterwards. The release workflow runs this script before it uploads them.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from pathlib import Path

__all__ = ["build", "problems_of", "sdist_problems", "wheel_problems"]

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "codex_backend_sdk"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
RESOLUTIONS = ("lowest-direct", "highest")
# What the sdist has besides the package: enough to build it, to test it and to read about it.
SDIST_FILES = ("CHANGELOG.md", "LICENSE", "README.md", "hatch_build.py", "pyproject.toml", "docs/design.md")


def main() -> int:
    """Run the checks. Return 1 if there is a problem."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="build and check the contents only")
    parser.add_argument("--dist", type=Path, default=ROOT / "dist", help="the folder of the distributions")
    options = parser.parse_args()
    wheel, sdist = build(options.dist)
    problems = [*problems_of(wheel, sdist)]
    if not options.quick and not problems:
        for python in PYTHONS:
            for resolution in RESOLUTIONS:
                result = installed_problem(wheel, python, resolution)
                print(f"wheel  Python {python:<5} {resolution:<14} {result or 'works'}", flush=True)
                problems += [result] if result and not result.startswith("skipped") else []
        result = installed_problem(sdist, f"{sys.version_info[0]}.{sys.version_info[1]}", "highest")
        print(f"sdist  Python {sys.version_info[0]}.{sys.version_info[1]:<3} highest        {result or 'works'}")
        problems += [result] if result else []
    print(*problems or ["The distributions can be released."], sep="\n")
    return int(bool(problems))


def build(folder: Path) -> tuple[Path, Path]:
    """Build the sdist, and the wheel from the sdist, in `folder`, which is replaced."""
    shutil.rmtree(folder, ignore_errors=True)
    # The build backend is installed here: the group `build` of pyproject.toml.
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT))
    (wheel,) = folder.glob("*.whl")
    (sdist,) = folder.glob("*.tar.gz")
    return wheel, sdist


def problems_of(wheel: Path, sdist: Path) -> Iterator[str]:
    """Yield the problems of the two distributions."""
    yield from wheel_problems(wheel)
    yield from sdist_problems(sdist)
    checked = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", str(wheel), str(sdist)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if checked.returncode:
        yield checked.stdout + checked.stderr


def wheel_problems(wheel: Path) -> Iterator[str]:
    """Yield what is missing in the wheel, and what it must not contain."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata_name,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        metadata = message_from_bytes(archive.read(metadata_name))
    information = metadata_name.removesuffix("METADATA")
    modules = {path.relative_to(PACKAGE.parent).as_posix() for path in PACKAGE.rglob("*.py")}
    expected = {*modules, "codex_backend_sdk/py.typed", f"{information}entry_points.txt"}
    expected |= {f"{information}{name}" for name in ("METADATA", "RECORD", "WHEEL", "licenses/LICENSE")}
    yield from (f"The wheel has no {name}." for name in sorted(expected - names))
    yield from (f"The wheel has {name}." for name in sorted(names - expected))
    yield from metadata_problems(metadata)


def metadata_problems(metadata: Message) -> Iterator[str]:
    """Yield the problems of what PyPI shows."""
    description = metadata.get_payload()
    assert isinstance(description, str)
    for link in re.findall(r"\]\((?!https?:|#)([^)]+)\)", description):
        yield f"The description has the relative link {link}."
    for member in ("Summary", "License-Expression", "Requires-Python", "Project-URL", "Keywords", "Classifier"):
        if not metadata.get_all(member):
            yield f"The metadata has no {member}."


def sdist_problems(sdist: Path) -> Iterator[str]:
    """Yield what is missing in the sdist, and what it must not contain."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    modules = {path.relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*.py")}
    expected = {*modules, *SDIST_FILES, "src/codex_backend_sdk/py.typed"}
    yield from (f"The sdist has no {name}." for name in sorted(expected - names))
    for name in sorted(names):
        if re.match(r"\.venv|\.cache|\.git/|build/|dist/|\.env", name) or name.endswith(("auth.json", ".pyc")):
            yield f"The sdist has {name}."


def installed_problem(distribution: Path, python: str, resolution: str) -> str | None:
    """Install the distribution in a new environment and run it there. Return the problem, or None."""
    uv = shutil.which("uv", path=_path())
    if uv is None:
        return "skipped: uv is missing; `make release-check` installs it"
    environment = ROOT / ".cache" / "release" / f"{python}-{resolution}-{distribution.suffix[1:]}"
    binaries = environment / ("Scripts" if os.name == "nt" else "bin")
    interpreter, command = str(binaries / "python"), str(binaries / "codex-backend")
    try:
        run(
            uv,
            "venv",
            "--quiet",
            "--clear",
            "--no-config",
            "--no-python-downloads",
            "--python",
            python,
            str(environment),
        )
    except subprocess.CalledProcessError:
        return f"skipped: Python {python} is not installed"
    try:
        install = (uv, "pip", "install", "--quiet", "--no-config", "--python", interpreter, "--resolution", resolution)
        # Without a compiler, the lowest version is the lowest that has a wheel for this Python.
        only = ("--only-binary", ":all:") if distribution.suffix == ".whl" else ()
        run(*install, *only, str(distribution))
        run(command, "--version")
        run(command, "--help")
        run(
            interpreter,
            "-W",
            "error",
            "-c",
            "from codex_backend_sdk import AsyncOpenAI, OpenAI; OpenAI(); AsyncOpenAI()",
        )
        run(*install, *only, f"codex-backend-sdk[testing] @ {distribution.as_uri()}")
        run(command, "demo")
    except subprocess.CalledProcessError as error:
        return f"{' '.join(map(str, error.cmd[-4:]))}: {(error.stderr or error.stdout).strip()[-800:]}"
    return None


def _path() -> str:
    """Return the search path of programs, with uv and the Pythons of pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    folders = [ROOT / ".cache" / "lock" / "bin", *sorted(pyenv.glob("3.*/bin"), reverse=True)]
    return os.pathsep.join([*map(str, folders), os.environ["PATH"]])


def run(*command: str) -> str:
    """Run a command in a folder without our sources and return its output. Raise CalledProcessError if it fails."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CODEX_"))}
    variables["CODEX_HOME"] = str(ROOT / ".cache" / "release-home")
    variables["PATH"] = _path()
    (ROOT / ".cache").mkdir(exist_ok=True)
    done = subprocess.run(
        command, cwd=ROOT / ".cache", env=variables, capture_output=True, text=True, timeout=900, check=True
    )
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
