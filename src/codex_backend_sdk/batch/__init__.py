"""Batches: many requests with bounded concurrency, which continue after a crash, an interruption or a usage limit.

from codex_backend_sdk.batch import read_requests

for result in client.codex.batch(read_requests("in.jsonl"), journal="batch.journal"):
    print(result.custom_id, result.output_text)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._public import lazy_names

if TYPE_CHECKING:
    from .batch import AsyncBatch as AsyncBatch
    from .batch import Batch as Batch
    from .inputs import read_requests as read_requests
    from .results import BatchError as BatchError
    from .results import BatchProgress as BatchProgress
    from .results import BatchResult as BatchResult
    from .results import read_results as read_results
else:
    __all__, __getattr__, __dir__ = lazy_names(__name__)
