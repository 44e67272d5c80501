"""Fuzz one target for a fixed time, with atheris or with random mutation.

`python -m fuzz.loop TARGET SECONDS SEED ENGINE` runs in a separate process, because atheris ends its process. With the
engine `loop`, the last line of the output is the number of inputs.
"""

from __future__ import annotations

import hashlib
import importlib
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .targets import Target

CRASH_DIR: Final = Path(".cache/fuzz")
_MAX_INPUT_BYTES: Final = 2048


def main(name: str, seconds: int, seed: int, engine: str) -> int:
    """Run a target. Raises if its property does not hold for an input, and saves that input in .cache/fuzz."""
    atheris = _atheris() if engine == "atheris" else None
    if atheris is not None:
        with atheris.instrument_imports(include=["codex_backend_sdk._streaming", "codex_backend_sdk._errors"]):
            targets = importlib.import_module("fuzz.targets")
    else:
        targets = importlib.import_module("fuzz.targets")
    target: Target = targets.TARGETS[name]
    CRASH_DIR.mkdir(parents=True, exist_ok=True)
    if atheris is None:
        return _run_without_atheris(target, seconds, seed)
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed_input in enumerate(target.seeds):
            (Path(corpus) / str(number)).write_bytes(seed_input)
        options = [
            f"-max_total_time={seconds}",
            f"-seed={seed}",
            f"-max_len={_MAX_INPUT_BYTES}",
            "-print_final_stats=1",
        ]
        atheris.Setup(
            ["fuzz", *options, f"-artifact_prefix={CRASH_DIR}/{name}-", "-rss_limit_mb=3000", corpus], target.check
        )
        atheris.Fuzz()
    return 0


def _atheris() -> Any:
    try:
        return importlib.import_module("atheris")
    except ImportError:
        return None


def _run_without_atheris(target: Target, seconds: int, seed: int) -> int:
    rng = random.Random(seed)
    deadline = time.monotonic() + seconds
    input_count = 0
    while time.monotonic() < deadline:
        for _ in range(50):
            data = _random_input(rng, target.seeds)
            input_count += 1
            try:
                target.check(data)
            except Exception:
                path = CRASH_DIR / f"{target.name}-{hashlib.sha256(data).hexdigest()[:16]}"
                path.write_bytes(data)
                print(input_count)
                print(
                    f"The property of {target.name} does not hold for an input. The input is saved in {path}. "
                    f"Reproduce it with: python -m fuzz --target {target.name} --seed {seed}",
                    file=sys.stderr,
                )
                raise
    print(input_count)
    return 0


def _random_input(rng: random.Random, seeds: tuple[bytes, ...]) -> bytes:
    """Return random bytes, or a mutated seed."""
    if not seeds or rng.random() < 0.5:
        return rng.randbytes(rng.choice((4, 16, 64, 200)))
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.randint(1, 6)):
        position = rng.randrange(len(data) + 1)
        length = rng.choice((0, 1, 1, 2, 8, 64))
        data[position : position + length] = rng.choice((rng.randbytes(length), rng.randbytes(1), data[:length], b""))
    return bytes(data[:_MAX_INPUT_BYTES])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
