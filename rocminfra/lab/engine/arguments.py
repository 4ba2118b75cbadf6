"""Command line of ``vllm serve`` 0.20.1, as far as an operator can tell the difference."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from rocminfra.lab.engine.flags import IGNORED_OPTIONS, IGNORED_SWITCHES

VERSION = "0.20.1+sim"
_COMMANDS = "{chat,complete,serve,launch,bench,collect-env,run-batch}"
_SUFFIXES = {"k": 10**3, "m": 10**6, "g": 10**9, "K": 2**10, "M": 2**20, "G": 2**30}


class ArgumentsError(ValueError):
    """Arguments that parse and contradict each other; vLLM ends with a traceback for these."""


@dataclass(frozen=True)
class ServeArguments:
    """What the simulator acts on; names and defaults are vLLM's for one 192 GB GPU.

    + model: folder of the model
    + served_model_names: as clients ask for it; the first one is in the answers
    + max_model_len: None takes the model's own
    + max_pixels: cap of an image's pixels, from ``--mm-processor-kwargs``
    """

    model: str
    served_model_names: tuple[str, ...]
    host: str | None = None
    port: int = 8000
    uds: str | None = None
    api_keys: tuple[str, ...] = ()
    dtype: str = "auto"
    max_model_len: int | None = None
    gpu_memory_utilization: float = 0.92
    kv_cache_dtype: str = "auto"
    num_gpu_blocks_override: int | None = None
    max_num_seqs: int = 1024
    max_num_batched_tokens: int = 8192
    enable_chunked_prefill: bool = True
    tensor_parallel_size: int = 1
    max_pixels: int | None = None
    shutdown_timeout: float = 0.0
    fail_on_environ_validation: bool = False
    disable_uvicorn_access_log: bool = False
    server_load_tracking: bool = False
    model_was_an_option: bool = False


def parse(argv: Sequence[str]) -> ServeArguments:
    """Arguments after ``vllm``.

    Exits as argparse does for ``--help`` and ``--version`` (0) and for arguments it does not
    know (2). Raises :class:`ArgumentsError` for values that vLLM's configuration refuses.
    """
    namespace = _parser().parse_args(argv)
    if namespace.command != "serve":
        raise ArgumentsError("the simulator is for `vllm serve` only")
    model: str = namespace.model_tag or namespace.model or "Qwen/Qwen3-0.6B"
    arguments = ServeArguments(
        model=model,
        served_model_names=tuple(namespace.served_model_name or (model,)),
        host=namespace.host,
        port=namespace.port,
        uds=namespace.uds,
        api_keys=tuple(namespace.api_key or ()),
        dtype=namespace.dtype,
        max_model_len=namespace.max_model_len,
        gpu_memory_utilization=namespace.gpu_memory_utilization,
        kv_cache_dtype=namespace.kv_cache_dtype,
        num_gpu_blocks_override=namespace.num_gpu_blocks_override,
        max_num_seqs=namespace.max_num_seqs,
        max_num_batched_tokens=namespace.max_num_batched_tokens,
        enable_chunked_prefill=namespace.enable_chunked_prefill,
        tensor_parallel_size=namespace.tensor_parallel_size,
        max_pixels=_max_pixels(namespace.mm_processor_kwargs),
        shutdown_timeout=namespace.shutdown_timeout,
        fail_on_environ_validation=namespace.fail_on_environ_validation,
        disable_uvicorn_access_log=namespace.disable_uvicorn_access_log,
        server_load_tracking=namespace.enable_server_load_tracking,
        model_was_an_option=namespace.model_tag is None and namespace.model is not None,
    )
    _check(arguments)
    return arguments


def _check(arguments: ServeArguments) -> None:
    if not 0 < arguments.gpu_memory_utilization <= 1:
        raise ArgumentsError(
            "1 validation error for CacheConfig\ngpu_memory_utilization\n  Input should be greater "
            f"than 0 and less than or equal to 1 [input_value={arguments.gpu_memory_utilization}]"
        )
    if arguments.max_num_batched_tokens < arguments.max_num_seqs:
        raise ArgumentsError(
            "1 validation error for SchedulerConfig\n  Value error, max_num_batched_tokens "
            f"({arguments.max_num_batched_tokens}) must be greater than or equal to max_num_seqs "
            f"({arguments.max_num_seqs})."
        )


def check_length(arguments: ServeArguments, max_model_len: int, model_maximum: int) -> None:
    """Refuse a length that the model or the scheduler cannot serve.

    Raises :class:`ArgumentsError` with vLLM's words.
    """
    if max_model_len > model_maximum:
        raise ArgumentsError(
            "1 validation error for ModelConfig\n  Value error, User-specified max_model_len "
            f"({max_model_len}) is greater than the derived max_model_len "
            f"(max_position_embeddings={model_maximum} or model_max_length=None in model's "
            "config.json). To allow overriding this maximum, set the env var "
            "VLLM_ALLOW_LONG_MAX_MODEL_LEN=1."
        )
    if not arguments.enable_chunked_prefill and arguments.max_num_batched_tokens < max_model_len:
        raise ArgumentsError(
            "1 validation error for SchedulerConfig\n  Value error, max_num_batched_tokens "
            f"({arguments.max_num_batched_tokens}) is smaller than max_model_len "
            f"({max_model_len}). This effectively limits the maximum sequence length to "
            "max_num_batched_tokens and makes vLLM reject longer sequences. Please increase "
            "max_num_batched_tokens or decrease max_model_len."
        )


class FlexibleArgumentParser(argparse.ArgumentParser):
    """As vLLM's of this name: underscores in options, and JSON with dots."""

    def parse_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]
        """Parse ``args``, or the process's own."""
        words = _join_dotted(sys.argv[1:] if args is None else args)
        return super().parse_args([_dashes(word) for word in words], namespace)


def _parser() -> argparse.ArgumentParser:
    parser = FlexibleArgumentParser(prog="vllm", description="vLLM CLI")
    parser.add_argument("-v", "--version", action="version", version=VERSION)
    commands = parser.add_subparsers(dest="command", required=True, metavar=_COMMANDS)
    make_arg_parser(
        commands.add_parser(
            "serve",
            usage="vllm serve [model_tag] [options]",
            description="Launch a local OpenAI-compatible API server (simulated).",
        )
    )
    return parser


def make_arg_parser(serve: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add the arguments of ``vllm serve``, as vLLM's function of this name does."""
    add = serve.add_argument
    add("model_tag", nargs="?")
    add("--model")
    add("--served-model-name", nargs="+")
    add("--host")
    add("--port", type=int, default=8000)
    add("--uds")
    add("--api-key", nargs="*")
    types = ("auto", "bfloat16", "float", "float16", "float32", "half")
    add("--dtype", choices=types, default="auto")
    add("--max-model-len", type=_count)
    add("--gpu-memory-utilization", type=float, default=0.92)
    kv_types = ("auto", "bfloat16", "float16", "fp8", "fp8_e4m3", "fp8_e5m2", "fp8_inc")
    add("--kv-cache-dtype", choices=(*kv_types, "fp8_ds_mla"), default="auto")
    add("--num-gpu-blocks-override", type=int)
    add("--max-num-seqs", type=_count, default=1024)
    add("--max-num-batched-tokens", type=_count, default=8192)
    add("--tensor-parallel-size", "-tp", type=int, default=1)
    add("--mm-processor-kwargs", type=_json_object, default={})
    add("--shutdown-timeout", type=float, default=0)
    for name, default in (
        ("--enable-chunked-prefill", True),
        ("--fail-on-environ-validation", False),
        ("--disable-uvicorn-access-log", False),
        ("--enable-server-load-tracking", False),
    ):
        add(name, action=argparse.BooleanOptionalAction, default=default)
    for name in IGNORED_OPTIONS:
        add(name, nargs="+" if name == "--lora-modules" else None, help=argparse.SUPPRESS)
    for name in IGNORED_SWITCHES:
        switch = argparse.BooleanOptionalAction if name.startswith("--") else "store_true"
        add(name, action=switch, default=False, help=argparse.SUPPRESS)
    return serve


def _dashes(word: str) -> str:
    """vLLM takes ``--max_model_len`` for ``--max-model-len``; values stay as they are."""
    if not word.startswith("--"):
        return word
    name, equals, value = word.partition("=")
    return name.replace("_", "-") + equals + value


def _join_dotted(argv: Sequence[str]) -> list[str]:
    """``--mm-processor-kwargs.max_pixels 5`` as JSON, which vLLM takes as well."""
    words: list[str] = []
    queue = list(argv)
    while queue:
        word = queue.pop(0)
        match = re.match(r"^(--[a-z][a-z_-]*)\.([A-Za-z_]+)(?:=(.*))?$", word)
        if match is None:
            words.append(word)
            continue
        value = match[3] if match[3] is not None else (queue.pop(0) if queue else "null")
        words += [match[1], json.dumps({match[2]: _loads(value)})]
    return words


def _loads(text: str) -> object:
    try:
        value: object = json.loads(text)
    except ValueError:
        return text
    return value


def _count(text: str) -> int:
    """``16384``, ``16k`` (thousands) or ``16K`` (powers of two)."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kmgKMG]?)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"Invalid value: {text}")
    value = float(match[1]) * _SUFFIXES.get(match[2], 1)
    if value != int(value) or value < 1:
        raise argparse.ArgumentTypeError(f"Invalid value: {text}")
    return int(value)


def _json_object(text: str) -> dict[str, object]:
    value = _loads(text)
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"Value {text} cannot be converted to a JSON object.")
    return value


def _max_pixels(kwargs: dict[str, object]) -> int | None:
    value = kwargs.get("max_pixels")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ArgumentsError(f"mm_processor_kwargs: max_pixels={value!r} is not a number of pixels")
    return value
