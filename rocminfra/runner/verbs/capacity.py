"""``rocminfra capacity``: does a model fit, and how many tokens does it keep. No GPU, no SSH."""

from __future__ import annotations

import shlex
from typing import Any

import click

from rocminfra.failure import Do, ExitCode, FailedError, Fault
from rocminfra.model_files import load_model
from rocminfra.planning.capacity.answer import plan_capacity
from rocminfra.planning.capacity.capacity import Serving
from rocminfra.planning.capacity.overhead import GIB, measured
from rocminfra.planning.engine.gpus import GPUS
from rocminfra.planning.model.reference import REFERENCE_NAME
from rocminfra.planning.model.spec import UnknownModelError
from rocminfra.reference_run import (
    GPU_MEMORY_UTILIZATION,
    MAX_MODEL_LEN,
    MAX_NUM_BATCHED_TOKENS,
    MAX_NUM_SEQS,
)
from rocminfra.runner.output import run_text
from rocminfra.runner.output.capacity_json import capacity_document, setting_of
from rocminfra.runner.output.capacity_text import capacity_lines
from rocminfra.runner.output.run_json import dump, error_document
from rocminfra.runner.verbs.planning_defaults import host_settings, looked_up, with_settings
from rocminfra.runner.verbs.planning_options import (
    block_size_option,
    dtype_option,
    gpu_option,
    host_option,
    model_option,
    overhead_option,
    page_size,
)


@click.command()
@model_option
@host_option
@gpu_option
@click.option(
    "--count",
    "--tensor-parallel",
    "count",
    type=click.IntRange(1, 64),
    default=None,
    help="GPUs of one engine [default: the host's, else 1]",
)
@click.option(
    "--utilization",
    type=float,
    default=None,
    help=f"--gpu-memory-utilization [default: the host's, else {GPU_MEMORY_UTILIZATION}]",
)
@dtype_option
@click.option(
    "--kv-cache-dtype",
    type=click.Choice(["auto", "fp8"]),
    default=None,
    help="of the KV cache [default: the host's, else auto]",
)
@click.option(
    "--max-model-len",
    type=click.IntRange(1),
    default=None,
    help="tokens of prompt and answer together [default: the host's, else "
    f"{MAX_MODEL_LEN}, or the model's own if less]",
)
@click.option(
    "--max-num-seqs",
    type=click.IntRange(1),
    default=None,
    help=f"[default: the host's, else {MAX_NUM_SEQS}]",
)
@click.option(
    "--max-num-batched-tokens",
    type=click.IntRange(1),
    default=None,
    help=f"[default: the host's, else {MAX_NUM_BATCHED_TOKENS}]",
)
@click.option(
    "--page", metavar="WxH", default="1700x2200", show_default=True, help="a page, in pixels"
)
@click.option("--max-pixels", type=click.IntRange(1), default=None, help="cap of an image's pixels")
@click.option(
    "--streams",
    type=click.IntRange(1),
    default=64,
    show_default=True,
    help="requests with a page that are wanted at once",
)
@block_size_option
@overhead_option
@click.option("--json", "as_json", is_flag=True, help="JSON on stdout")
def capacity(as_json: bool, **options: Any) -> ExitCode:
    """Say whether a model fits a GPU, and how many tokens its KV cache keeps.

    What no option says comes from your hosts file, or is the reference run: Qwen2-VL-72B on one
    MI300X. MODEL is a folder with a config.json, such a file, or a repository: of this machine's
    Hugging Face cache, or of the hub, of which kilobytes are fetched and kept.
    Exits with 6 when the model does not fit.
    """
    try:
        host, model = options.pop("host"), options["model"]
        settings = host_settings(host)
        given = with_settings(options, settings) | looked_up(model, settings)
        return _answer(as_json, given, host, model)
    except FailedError as error:
        if not as_json:
            raise
        print(dump(error_document("capacity", error)))
        return error.failure.kind


def _answer(
    as_json: bool, options: dict[str, Any], host: str | None, model: str | None
) -> ExitCode:
    """Answer, and name the next command.

    + host, model: as they were given, for that command
    """
    width, height = page_size(options["page"])
    try:
        spec = load_model(options["model"], options["dtype"], options["revision"], options["hub"])
        length = options["max_model_len"] or min(MAX_MODEL_LEN, spec.max_position)
        overhead_gib = options["overhead_gib"]
        serving = Serving(
            utilization=options["utilization"],
            max_model_len=length,
            max_num_seqs=options["max_num_seqs"],
            max_num_batched_tokens=options["max_num_batched_tokens"],
            kv_dtype_bytes=1 if options["kv_cache_dtype"] == "fp8" else 2,
            max_pixels=options["max_pixels"],
            block_size=options["block_size"],
            overhead=None if overhead_gib is None else measured(int(overhead_gib * GIB)),
        )
        gpu = GPUS[options["gpu"]]
        plan = plan_capacity(
            spec, gpu, serving, options["count"], (width, height), options["streams"]
        )
    except UnknownModelError as error:
        raise FailedError(
            Fault.MODEL_UNKNOWN,
            str(error),
            next=Do(f"rocminfra capacity --model FOLDER   # default: {REFERENCE_NAME}"),
        ) from None
    except ValueError as error:
        raise FailedError(Fault.OPTION_INVALID, str(error)) from None
    code = ExitCode.DONE if plan.chosen.fits else ExitCode.UNFIT
    if as_json:
        print(dump(capacity_document(plan, code)))
        return code
    for line in capacity_lines(plan):
        print(line)
    if not plan.chosen.fits and plan.remedies and (setting := setting_of(plan.remedies[0])):
        words = ["rocminfra", "apply"]
        words += ["--limit", host] if host is not None else []
        words += ["--data", f"model.source={model}"] if model is not None else []
        run_text.message(f"next: {shlex.join([*words, '--data', setting])}")
    return code
