from __future__ import annotations

import sys
from pathlib import Path

# `fuzz` is no part of the package; it stands in the root of the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
