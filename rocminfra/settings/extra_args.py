"""Further arguments of ``vllm serve``: what is wrong with them can be seen before anything runs.

vLLM's parser (``FlexibleArgumentParser``, on Python's argparse) takes an option in many spellings,
and the last one given wins: ``--max_num_seqs=32``, ``--max-num-s 32``, ``-tp 2``. One that repeats
what a setting gives would win over the setting, and everything else that reads the setting
(readiness, the capacity check, reports) would be wrong about the engine that runs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from rocminfra.settings.secret_names import secret_flag

# Options that a setting gives, and that setting.
_OWNED: Mapping[str, str] = {
    "--model": "model.source",
    "--served-model-name": "model.name",
    "--revision": "model.revision",
    "--download-dir": "huggingface.home",
    "--host": "vllm.host",
    "--port": "vllm.port",
    "--dtype": "vllm.dtype",
    "--gpu-memory-utilization": "vllm.gpu_memory_utilization",
    "--max-model-len": "vllm.max_model_len",
    "--max-num-seqs": "vllm.max_num_seqs",
    "--max-num-batched-tokens": "vllm.max_num_batched_tokens",
    "--enable-chunked-prefill": "vllm.enable_chunked_prefill",
    "--no-enable-chunked-prefill": "vllm.enable_chunked_prefill",
    "--tensor-parallel-size": "vllm.tensor_parallel_size",
    "-tp": "vllm.tensor_parallel_size",
    "--kv-cache-dtype": "vllm.kv_cache_dtype",
    "--shutdown-timeout": "engine.shutdown_timeout_s",
}
# Options with which the engine never becomes ready, or that are there already.
_NEVER: Mapping[str, str] = {
    "--fail-on-environ-validation": "is always given",
    "--no-fail-on-environ-validation": "would let a misspelt VLLM_ variable pass unseen",
    "--uds": "takes the engine off vllm.host and vllm.port, where it is waited for",
    "--grpc": "takes the place of the HTTP server, which is waited for",
    "--headless": "starts no server, and one is waited for",
    "--ssl-certfile": "makes the engine speak TLS, and it is waited for in plain HTTP on the host",
    "--ssl-keyfile": "makes the engine speak TLS, and it is waited for in plain HTTP on the host",
    "--config": "reads options from a file, where no setting sees them",
    "--skip-tokenizer-init": "leaves the engine without a tokenizer, and it is ready when it has "
    "completed a text",
    "--help": "prints a text and starts no engine",
    "-h": "prints a text and starts no engine",
    "--version": "prints a text and starts no engine",
    "-v": "prints a text and starts no engine",
}
# Options of which only some values leave an engine that becomes ready, and what the others do.
_NO_TEXT = "makes an engine that writes no text, and it is ready when it has completed one"
_ONE_HOST = "waits for engines on other hosts, and there is one engine a host"
_VALUES: Mapping[str, tuple[tuple[str, ...], str]] = {
    "--nnodes": (("1",), _ONE_HOST),
    "--node-rank": (("0",), _ONE_HOST),
    "--runner": (("auto", "generate"), _NO_TEXT),
    "--task": (("auto", "generate"), _NO_TEXT),
    "--convert": (("auto", "none"), _NO_TEXT),
}
_SERVERS = ("--api-server-count", "-asc")
_PIXELS = "--mm-processor-kwargs"
_PIXELS_SETTING = "vllm.max_pixels"
# Options that add to what was given before.
_REPEATED = frozenset({"--middleware", "--ignore-patterns"})
# Options of vLLM that begin like one of those above and are others.
_OTHERS = frozenset({"--ssl"})
# argparse takes such a word for a value, because no option of vLLM's looks like a number.
_NUMBER = re.compile(r"-\d+|-\d*\.\d+")
# What word processors make of a hyphen.
_OTHER_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"


def problems(arguments: Sequence[str], max_pixels: int | None = None) -> list[str]:
    """What is wrong with ``vllm.extra_args``, a sentence for each item; values are not repeated.

    + arguments: one argument an item
    + max_pixels: the setting of that name
    """
    found: list[str] = []
    given: set[str] = set()
    takes_values = False  # whether a bare word may be the value of the option before it
    for position, argument in enumerate(arguments):
        if not _is_option(argument):
            if not takes_values:
                found.append(_stray(argument, position))
            continue
        following = arguments[position + 1] if position + 1 < len(arguments) else ""
        problem = _problem(argument, following, max_pixels) or _twice(argument, given)
        if problem is not None:
            found.append(problem)
        takes_values = "=" not in argument
    return found


def has_option(arguments: Sequence[str], option: str) -> bool:
    """Whether vLLM may take one of the arguments for an option, which it may abbreviate."""
    return any(
        _is_option(argument) and _named(_split(argument)[0], {option: ""}) is not None
        for argument in arguments
    )


def value_of(arguments: Sequence[str], *options: str) -> str | None:
    """Value of an option, under one of its full names; None when it is not given."""
    found = None
    for position, argument in enumerate(arguments):
        name, value = _split(argument)
        if _is_option(argument) and name in options:
            following = arguments[position + 1] if position + 1 < len(arguments) else ""
            found = value if "=" in argument else following
    return found


def _is_option(argument: str) -> bool:
    return argument.lstrip().startswith("-") and _NUMBER.fullmatch(argument) is None


def _stray(argument: str, position: int) -> str:
    if argument.lstrip()[:1] in tuple(_OTHER_DASHES):
        return f"item {position + 1} begins with another dash than the hyphen '-'"
    return (
        f"item {position + 1} is the value of no option; it goes right after its option, as "
        "--OPTION=VALUE or as the next item"
    )


def _problem(argument: str, following: str, max_pixels: int | None) -> str | None:
    """What is wrong with one option; a secret's own refusal comes first."""
    secret = secret_flag(argument)
    if secret is not None:
        return (
            f"{secret} gives the engine a secret, which would stand in its unit for all to read; "
            "leave it out: the engine listens on 127.0.0.1 and needs no key, and the hub's "
            "token comes from huggingface.token_env"
        )
    name, value = _split(argument)
    if name == "--":
        return "'--' ends the options: leave it out"
    owned = _named(name, _OWNED)
    if owned is not None:
        return f"{_shown(name, owned)} is given by {_OWNED[owned]}: set that instead"
    never = _named(name, _NEVER)
    if never is not None:
        return f"{_shown(name, never)} {_NEVER[never]}: leave it out"
    given = value if "=" in argument else following
    useless = _named(name, dict.fromkeys(_VALUES, ""))
    if useless is not None and given.strip().lower() not in ("", *_VALUES[useless][0]):
        return f"{_shown(name, useless)} {_VALUES[useless][1]}: leave it out"
    if name in _SERVERS and given.strip() == "0":
        return f"{name} 0 starts no server, and one is waited for: leave it out"
    if name == _PIXELS or _named(name, {_PIXELS: ""}) is not None:
        pixels = _about_pixels(argument, given, max_pixels)
        if pixels is not None:
            return pixels
    option = re.split(r"[\s=]", argument.strip(), maxsplit=1)[0]
    before = argument.partition("=")[0]
    if re.search(r"\s", before.strip()):
        return (
            f"{option} and its value stand in one item: write {option}=VALUE, or two items, "
            f"{option} and the value"
        )
    if before != before.strip():
        return f"{option} has a blank before or after it: leave that out"
    if len(value) > 1 and value[0] == value[-1] == "'":
        return (
            f"the value of {option} stands in quotes of a shell, and no shell "
            "reads this: leave them out"
        )
    return None


def _twice(argument: str, given: set[str]) -> str | None:
    """That an option was given before; ``given`` has those, and gets this one."""
    option = argument.partition("=")[0]
    name = _split(argument)[0]
    if name in _REPEATED or "." in option:  # parts of JSON
        return None
    if name in given:
        return f"{name} is given twice, and vLLM takes the last one: leave one out"
    given.add(name)
    return None


def _split(argument: str) -> tuple[str, str]:
    """Option as vLLM reads it, without JSON path, and what follows it in the item."""
    words = re.split(r"[=\s]", argument.strip(), maxsplit=1)
    name = words[0]
    if name.startswith("--"):
        # `--option.key.key` is a way to write JSON; underscores count as hyphens before it.
        name = name.split(".")[0].replace("_", "-")
    return name, words[1] if len(words) > 1 else ""


def _named(name: str, options: Mapping[str, str]) -> str | None:
    """The option that argparse takes ``name`` for; it takes any abbreviation."""
    if name in options:
        return name
    if name in _OTHERS or len(name) < (3 if name.startswith("--") else 2):
        return None
    return next((option for option in options if option.startswith(name)), None)


def _shown(name: str, option: str) -> str:
    return option if name == option else f"{name}, which vLLM may take for {option},"


def _about_pixels(argument: str, value: str, max_pixels: int | None) -> str | None:
    option = argument.strip().partition("=")[0].split()[0]
    _, dot, path = option.partition(".")
    if dot:
        names = [path]
    else:
        try:
            document = json.loads(value)
        except ValueError:
            return None  # the check of the value is vLLM's
        names = list(document) if isinstance(document, dict) else []
    if names == ["max_pixels"]:
        return f"max_pixels of {_PIXELS} is given by {_PIXELS_SETTING}: set that instead"
    if max_pixels is not None:
        return (
            f"{_PIXELS} would replace what {_PIXELS_SETTING} gives, because vLLM takes the last "
            f"one: leave {_PIXELS_SETTING} out and give max_pixels here as well"
        )
    return None
