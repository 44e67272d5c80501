from __future__ import annotations

import sys
from pathlib import Path

# `fuzz` is not part of the package; it is a directory at the root of the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
