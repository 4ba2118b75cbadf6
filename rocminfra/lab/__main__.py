"""``python -m rocminfra.lab``: as ``rocminfra lab``; ``clean`` works without any package."""

from __future__ import annotations

import sys

from rocminfra.failure import FailedError
from rocminfra.lab.cleaning import clean
from rocminfra.lab.paths import default_paths


def main(arguments: list[str]) -> int:
    """Run a lab verb and return its exit code."""
    if arguments[:1] != ["clean"] or not {"--cache", "--dead"} >= set(arguments[1:]):
        return _command(arguments)
    try:
        clean(
            default_paths(),
            cache="--cache" in arguments,
            say=lambda line: print(line, file=sys.stderr),
            dead="--dead" in arguments,
        )
    except FailedError as error:
        print(error, file=sys.stderr)
        return error.failure.kind
    return 0


def _command(arguments: list[str]) -> int:
    try:
        from rocminfra.lab.cli import lab
    except ModuleNotFoundError as error:
        print(f"{error}\nnext: {sys.executable} -m pip install 'rocminfra[lab]'", file=sys.stderr)
        return 6
    code: object = lab.main(args=arguments, prog_name="rocminfra lab", standalone_mode=True)
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
