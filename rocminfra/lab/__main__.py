"""``python -m rocminfra.lab``: as ``rocminfra lab``; ``clean`` works without any package."""

from __future__ import annotations

import sys

from rocminfra.lab.cleaning import clean
from rocminfra.lab.errors import LabError
from rocminfra.lab.paths import default_paths


def main(arguments: list[str]) -> int:
    """Run a lab verb and return its exit code."""
    if arguments not in (["clean"], ["clean", "--cache"]):
        from rocminfra.lab.cli import lab

        code: object = lab.main(args=arguments, prog_name="rocminfra lab", standalone_mode=True)
        return code if isinstance(code, int) else 0
    try:
        clean(default_paths(), "--cache" in arguments, lambda line: print(line, file=sys.stderr))
    except LabError as error:
        print(error, file=sys.stderr)
        return error.code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
