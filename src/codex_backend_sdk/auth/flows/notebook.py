"""Show the login page in a Jupyter notebook.

The user of a notebook may sit at another machine than its kernel, where a browser would open unseen. A notebook
therefore shows a link. If the kernel has no browser, it also shows a field for the URL of the last page, which does not
load on the user's machine. `input()` of a kernel shows such a field.
"""

from __future__ import annotations

import sys
from html import escape
from typing import Any

__all__ = ["is_notebook_kernel", "show_link"]


def is_notebook_kernel() -> bool:
    """Return whether this process is the kernel of a notebook. Imports nothing."""
    get_shell = getattr(sys.modules.get("IPython"), "get_ipython", None)
    # The shell of a terminal has no kernel.
    return callable(get_shell) and hasattr(get_shell(), "kernel")


def show_link(url: str) -> None:
    """Show the URL of the login page as a link below the cell."""
    ipython: Any = sys.modules["IPython"]
    link = f'<a href="{escape(url)}" target="_blank" rel="noopener">Log in with ChatGPT</a>'
    ipython.display.display({"text/html": link, "text/plain": f"Log in with ChatGPT: {url}"}, raw=True)
