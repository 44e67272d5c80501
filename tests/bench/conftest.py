from __future__ import annotations

import sys
from pathlib import Path

# `bench` is not part of the package; it is a folder of the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
