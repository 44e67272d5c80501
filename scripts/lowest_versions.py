"""Check that the package works with the lowest versions that pyproject.toml declares.

    python scripts/lowest_versions.py [--uv PATH] [--extra all ...] [--tests]

For each extra (`base` is the package without one), uv installs the package into an environment in .cache/lowest, with
every direct dependency at its lowest version. The script then checks that

- each declared minimum is the version that was installed: no test could cover a lower one;
- every module that the extra provides can be imported, and a short program runs.

`--tests` also runs the demo and the test suite on the lowest versions of all extras. Only the test tools are newer.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "lowest"
DISTRIBUTION = "codex-backend-sdk"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = ("base", *PROJECT["project"]["optional-dependencies"])
TEST_TOOLS = ("hypothesis", "keyrings.alt", "polyfactory", "pytest", "pytest-asyncio", "pytest-timeout")
TEST_TOOLS += ("pytest-xdist", "trio", "trustme", "typing-extensions", "websockets")
# The official tests, the type checkers, the benchmarks and the Codex CLI do not test the declared versions. The test of
# this script would create the same environments again.
LEFT_OUT_TESTS = ("conformance", "typing", "bench", "test_codex_cli.py", "test_codex_cli_login.py")
LEFT_OUT_TESTS += ("test_codex_cli_websocket.py", "test_lowest_versions.py")
# FastAPI requires newer versions of pydantic and Starlette than this package.
SELECTED_NAMES = "not web_server"
INSTALL_TIMEOUT_SECONDS = 600
SMOKE_TIMEOUT_SECONDS = 120
TESTS_TIMEOUT_SECONDS = 3600
# The exit code if the package index cannot be reached: EX_TEMPFAIL of sysexits.h.
INDEX_IS_UNREACHABLE = 75
_NETWORK_ERRORS = ("Failed to fetch", "error sending request", "operation timed out", "Could not connect")

# Runs in the environment of an extra. The arguments are the names of the extras that are installed.
SMOKE = r"""
import importlib, pkgutil, sys
import codex_backend_sdk
extras = set(sys.argv[1:])
needs = {
    "codex_backend_sdk.cli.demo_steps": {"testing"},
    "codex_backend_sdk.integrations": {"a library that no extra installs"},
    "codex_backend_sdk.llm_plugin": {"a library that no extra installs"},
    "codex_backend_sdk.server": {"server"},
    "codex_backend_sdk.testing": {"testing"},
    "codex_backend_sdk.testing.plugin": {"pytest"},
}
def required(module):
    return set().union(*(names for prefix, names in needs.items() if (module + ".").startswith(prefix + ".")))
for found in pkgutil.walk_packages(codex_backend_sdk.__path__, "codex_backend_sdk.", onerror=lambda name: None):
    if required(found.name) <= extras and not found.name.endswith("__main__"):
        importlib.import_module(found.name)
from codex_backend_sdk import AsyncOpenAI, OpenAI
from codex_backend_sdk.auth import KeyringStore, MemoryStore, RedisStore
AsyncOpenAI(credentials=MemoryStore())
explanation = OpenAI(credentials=MemoryStore()).codex.explain(input="hi", tools=[{"type": "web_search"}])
assert explanation.prepared_request.body["input"], explanation
if "testing" in extras:
    from pydantic import BaseModel, Field
    from codex_backend_sdk.testing import Simulator
    class Person(BaseModel):
        name: str
        code: str = Field(pattern="^[A-Z]{9}$")
    with Simulator() as simulator, simulator.client() as client:
        assert client.responses.create(input="Say hello").output_text == "hello"
        assert [*client.responses.create(input="Say hello", stream=True)][-1].type == "response.completed"
        assert isinstance(client.responses.parse(input="hi", text_format=Person).output_parsed, Person)
import subprocess
command = [sys.executable, "-m", "codex_backend_sdk", "doctor", "--help"]
subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
if "keyring" in extras:
    import keyring
    assert KeyringStore() and keyring.get_keyring()
if "redis" in extras:
    try:
        RedisStore("redis://127.0.0.1:9/0").load()
    except codex_backend_sdk.CredentialStoreError:  # no server listens there
        pass
"""


def main() -> int:
    """Check the chosen extras and print a line for each. Return 1 if one does not work."""
    options = parse_arguments()
    CACHE.mkdir(parents=True, exist_ok=True)
    problems = 0
    for extra in options.extra:
        try:
            found = [*check(extra, options.uv)]
        except IndexIsUnreachableError as error:
            print(error, file=sys.stderr)
            return INDEX_IS_UNREACHABLE
        print(f"{extra:<8} {'; '.join(found) or 'works'}", flush=True)
        problems += len(found)
    if options.tests and not problems:
        problems += not passes_tests(options.uv)
    return int(problems > 0)


class IndexIsUnreachableError(Exception):
    """The package index cannot be reached, so the versions cannot be checked."""


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--uv", default=find_uv(), help="the program uv (default: that of `make lock`, or on PATH)")
    parser.add_argument("--extra", nargs="+", default=EXTRAS, choices=EXTRAS)
    parser.add_argument("--tests", action="store_true", help="also run the demo and the tests")
    options = parser.parse_args()
    if options.uv is None:
        parser.error("uv is not installed. Run `make lowest`, which installs it, or pass --uv.")
    return options


def find_uv() -> str | None:
    """Return the uv that the Makefile installs, the one on PATH, or None."""
    own = ROOT / ".cache" / "lock" / "bin" / "uv"
    return str(own) if own.exists() else shutil.which("uv")


def check(extra: str, uv: str) -> Iterator[str]:
    """Install the package with one extra, and yield a text for each problem."""
    try:
        versions = install(extra, uv)
    except subprocess.CalledProcessError as error:
        if any(text in error.stderr for text in _NETWORK_ERRORS):
            raise IndexIsUnreachableError(f"The package index cannot be reached:\n{error.stderr}") from None
        yield f"cannot be installed:\n{error.stderr}"
        return
    for requirement in requirements(extra):
        declared, installed = declared_minimum(requirement), versions[normalize(requirement.name)]
        if declared is not None and declared != Version(installed):
            yield f"{requirement} declares {declared}, but {installed} is the lowest version that can be installed"
    names = [*PROJECT["project"]["optional-dependencies"]] if extra == "all" else [extra]
    done = run([python_of(extra), "-c", SMOKE, *names], timeout=SMOKE_TIMEOUT_SECONDS)
    if done.returncode:
        yield f"does not work with its lowest versions:\n{done.stderr}"


def install(extra: str, uv: str) -> dict[str, str]:
    """Create the environment of an extra, and return the installed versions by normalized name."""
    package = str(ROOT) if extra == "base" else f"{ROOT}[{extra}]"
    into = ["--quiet", "--python", str(python_of(extra))]
    commands = [
        [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(CACHE / extra)],
        [uv, "pip", "install", *into, "--resolution", "lowest-direct", "--editable", package],
        [uv, "pip", "check", *into],
        [uv, "pip", "list", *into, "--format", "json"],
    ]
    for command in commands:
        done = run(command, timeout=INSTALL_TIMEOUT_SECONDS)
        done.check_returncode()
    return {normalize(row["name"]): row["version"] for row in json.loads(done.stdout)}


def passes_tests(uv: str) -> bool:
    """Run the demo and the tests on the lowest versions of all extras, and return whether they pass."""
    python = python_of("all")
    pins = [f"{requirement.name}=={declared_minimum(requirement)}" for requirement in requirements("all")]
    pins = [pin for pin in pins if not pin.endswith("==None")]
    tools = run([uv, "pip", "install", "--quiet", "--python", str(python), *pins, *TEST_TOOLS])
    if tools.returncode:
        print(tools.stderr, file=sys.stderr)
        return False
    ignored = [f"--ignore=tests/{name}" for name in LEFT_OUT_TESTS]
    selected = ["-k", SELECTED_NAMES, *ignored]
    commands = (
        [python.with_name("codex-backend"), "demo"],
        [python, "-m", "pytest", "-q", "-n", "auto", "--dist", "worksteal", "-p", "no:cacheprovider", *selected],
    )
    return all(
        subprocess.run(command, cwd=ROOT, timeout=TESTS_TIMEOUT_SECONDS, check=False).returncode == 0
        for command in commands
    )


def requirements(extra: str) -> Iterator[Requirement]:
    """Yield the direct dependencies of the package with an extra, for this interpreter."""
    optional = PROJECT["project"]["optional-dependencies"]
    lines = [*PROJECT["project"]["dependencies"], *([] if extra == "base" else optional[extra])]
    for requirement in map(Requirement, lines):
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        if requirement.name == DISTRIBUTION:  # `all` names the other extras
            yield from (Requirement(line) for name in sorted(requirement.extras) for line in optional[name])
        else:
            yield requirement


def declared_minimum(requirement: Requirement) -> Version | None:
    """Return the version after `>=`, or None."""
    return next((Version(part.version) for part in requirement.specifier if part.operator == ">="), None)


def normalize(name: str) -> str:
    """Normalize the name of a distribution, as package indexes do."""
    return re.sub(r"[-_.]+", "-", name).lower()


def python_of(extra: str) -> Path:
    """Return the interpreter in the environment of an extra."""
    return CACHE / extra / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def run(command: list[object], timeout: float = INSTALL_TIMEOUT_SECONDS) -> subprocess.CompletedProcess[str]:
    """Run a command without the variables that would select another environment. Return its output."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return subprocess.run(
        [str(part) for part in command],
        cwd=CACHE,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


if __name__ == "__main__":
    sys.exit(main())
