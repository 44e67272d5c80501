"""Locate the folder for files that this package keeps for a user: conversations, usage history, models, server key.

The login is not in it: it is in CODEX_HOME, which the Codex CLI and all programs with this package share.
"""

from __future__ import annotations

import os
from pathlib import Path

from ._constants import DATA_FOLDER_ENV

__all__ = ["data_folder"]


def data_folder() -> Path:
    """Return the absolute path of the user's data folder, which may not exist yet.

    It is `$CODEX_BACKEND_DATA` if this variable is set, else the folder of the platform: `~/.local/share` on Linux,
    `~/Library/Application Support` on macOS, `%LOCALAPPDATA%` on Windows. `_files.create_private_folder` creates it.
    """
    folder = os.environ.get(DATA_FOLDER_ENV)
    if folder:
        return Path(folder).expanduser().absolute()
    import platformdirs  # not needed by programs that keep no files

    return platformdirs.user_data_path("codex-backend-sdk", appauthor=False)
