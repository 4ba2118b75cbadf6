"""``rocminfra completion``: verbs and options by the Tab key."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from rocminfra.failure import ExitCode
from rocminfra.runner.verbs.options import command


@command(
    'eval "$(rocminfra completion bash)"   # in ~/.bashrc',
    'eval "$(rocminfra completion zsh)"    # in ~/.zshrc',
    "rocminfra completion fish >~/.config/fish/completions/rocminfra.fish",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> ExitCode:
    """Print what makes the Tab key complete verbs and options in SHELL."""
    from rocminfra.runner.cli import rocminfra

    kind = get_completion_class(shell)
    if kind is None:
        raise TypeError(f"click knows no completion for {shell}")
    print(kind(rocminfra, {}, "rocminfra", "_ROCMINFRA_COMPLETE").source())
    return ExitCode.DONE
