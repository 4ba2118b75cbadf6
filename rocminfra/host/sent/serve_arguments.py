"""Ask the vLLM of an image whether it takes these arguments, without starting it.

    python3 -c TEXT ARGUMENT...        in the image, with the variables of the environment file

Exit code 42 when the parser of ``vllm serve`` refuses an argument, or its check of variables one of
those, with its words on stderr; 43 when its PyTorch is made for other GPUs than those of AMD; 0
when it takes them, and also when this vLLM cannot be asked like that: then the start will tell.
Paths are not looked at, since nothing of the host is mounted here.

Runs inside of the image; no single quote in it, because it is sent along as it is.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import signal
import sys

REFUSED, UNFIT = 42, 43
# Seconds; it ends by itself, because nobody ends a container of a connection that was lost.
LIMIT_S = 100
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def main(arguments: list[str]) -> int:
    """Ask; see above."""
    # Not a handler of Python, which would wait for the end of a long call into a library.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(LIMIT_S)
    try:
        parser = parser_of_serve()
    except BaseException as error:  # whatever the image is, it is not for this program to judge
        print(f"this image cannot be asked: {error!r}", file=sys.stderr)
        return made_for_others()
    if made_for_others():
        return UNFIT
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            parser.parse_args(["serve", *arguments])
        if "--fail-on-environ-validation" in arguments:
            check_variables()
    except SystemExit as ended:
        if not ended.code:
            return 0
        lines = said.getvalue().strip().splitlines()
        begins = [number for number, line in enumerate(lines) if ": error: " in line]
        print("\n".join(lines[begins[-1] if begins else 0 :]), file=sys.stderr)
        return REFUSED
    except UnknownVariableError as error:
        print(error, file=sys.stderr)
        return REFUSED
    except Exception as error:  # such as a configuration file that is not mounted here
        print(f"this image cannot say: {error!r}", file=sys.stderr)
    return 0


def made_for_others() -> int:
    """UNFIT when the image has a PyTorch that is built without ROCm, such as one for CUDA; else 0.

    Such an image takes every argument, and finds no device when it starts.
    """
    try:
        version = importlib.import_module("torch.version")
    except BaseException:  # as above
        return 0
    if not hasattr(version, "hip") or version.hip:
        return 0
    built = f"CUDA {version.cuda}" if getattr(version, "cuda", None) else "no GPU of AMD"
    print(f"its PyTorch is built for {built}, not for ROCm", file=sys.stderr)
    return UNFIT


class UnknownVariableError(Exception):
    """A variable that vLLM does not know."""


def parser_of_serve() -> Any:
    """The parser of the vllm program, with its command serve."""
    cli = importlib.import_module("vllm.entrypoints.openai.cli_args")
    try:
        utils = importlib.import_module("vllm.utils.argparse_utils")
    except ImportError:  # before vLLM 0.11.1
        utils = importlib.import_module("vllm.utils")
    parser = utils.FlexibleArgumentParser(prog="vllm")
    commands = parser.add_subparsers(dest="subparser")
    usage = "vllm serve [model_tag] [options]"
    cli.make_arg_parser(commands.add_parser("serve", usage=usage))
    return parser


def check_variables() -> None:
    """Have vLLM look at the variables that begin with its name."""
    validate = getattr(importlib.import_module("vllm.envs"), "validate_environ", None)
    if validate is None:
        return
    try:
        validate(hard_fail=True)
    except ValueError as error:
        raise UnknownVariableError(str(error)) from error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
