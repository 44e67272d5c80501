"""The command `completion`: print the script with which a shell completes the command.

The script calls `codex-backend` again for each completion. That imports only the module of the command that is being
typed, and neither `openai` nor `rich`, so it takes about as long as `--help`.
"""

from __future__ import annotations

from typing import Final

import click

from .output import print_block

__all__ = ["completion"]

_VARIABLE: Final = "_CODEX_BACKEND_COMPLETE"  # read by click: the name of the program in capitals
_SHELLS: Final = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS))
def completion(shell: str) -> None:
    """Print the completion script for a shell: bash, zsh or fish.

    \b
    bash: echo 'eval "$(codex-backend completion bash)"' >> ~/.bashrc
    zsh:  echo 'eval "$(codex-backend completion zsh)"' >> ~/.zshrc
    fish: codex-backend completion fish > ~/.config/fish/completions/codex-backend.fish
    """
    from click.shell_completion import get_completion_class

    from .app import codex_backend

    completion_class = get_completion_class(shell)
    assert completion_class is not None
    script = completion_class(codex_backend, {}, "codex-backend", _VARIABLE)
    print_block(script.source_template % script.source_vars())
