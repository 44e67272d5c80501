from __future__ import annotations

import signal


def pytest_configure() -> None:
    """Let the programs that tests start be interrupted, even where the tests run in the background of a shell.

    A shell starts such a job with SIGINT ignored, and what is ignored stays so in every process below it.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
