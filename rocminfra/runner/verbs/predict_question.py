"""What ``rocminfra predict`` is asked by options alone, and how it refuses."""

from __future__ import annotations

import shlex
from typing import Any

from rocminfra.failure import Do, FailedError, Fault
from rocminfra.planning.capacity.capacity import Serving
from rocminfra.planning.model.reference import REFERENCE_NAME
from rocminfra.planning.prediction.grid import Outcome
from rocminfra.reference_run import MAX_MODEL_LEN
from rocminfra.runner import typed
from rocminfra.runner.verbs.predict_grid import Question


def refuse_speculation(options: dict[str, Any]) -> None:
    """Raise :class:`FailedError` for speculative decoding, which is not modelled."""
    if options["speculative_config"] is not None:
        raise FailedError(
            Fault.OPTION_INVALID,
            "--speculative-config: speculative decoding is not modelled, because how many drafted "
            "tokens are accepted depends on the texts; without it the time between tokens is "
            "predicted as it is without drafts",
            next=Do(typed.changed("predict", without="--speculative-config")),
        )


def question_of(options: dict[str, Any]) -> Question | None:
    """A load that was described by options alone; None without any of them."""
    load = [options[name] for name in ("concurrency", "rate", "requests")]
    lengths = [options[name] for name in ("prompt_tokens", "output_tokens")]
    if all(one is None for one in load + lengths):
        return None
    if any(one is None for one in lengths):
        missing = [
            word
            for name, value in (("prompt_tokens", "1000"), ("output_tokens", "200"))
            if options[name] is None
            for word in (f"--{name.replace('_', '-')}", value)
        ]
        raise FailedError(
            Fault.OPTION_INVALID,
            "a load without a scenario's file needs --prompt-tokens and --output-tokens",
            next=Do(typed.changed("predict", more=missing)),
        )
    concurrency, rate, requests = load
    return Question(concurrency, rate, requests, *lengths)


def no_prediction(outcome: Outcome, options: dict[str, Any]) -> FailedError:
    """Why the only variant has no prediction, and the whole command that asks further."""
    error, choice = outcome.error or "", outcome.choice
    if not outcome.is_unfit:
        return FailedError(Fault.OPTION_INVALID, error)
    words = ["rocminfra", "capacity"]
    if options["model"] != REFERENCE_NAME:
        words += ["--model", options["model"]]
    words += ["--gpu", choice.gpu, "--count", str(choice.count)]
    serving = outcome.variant.serving
    usual = Serving()
    for name, value, default in (
        ("--utilization", serving.utilization, usual.utilization),
        (
            "--max-model-len",
            serving.max_model_len,
            min(MAX_MODEL_LEN, outcome.variant.spec.max_position),
        ),
        ("--max-num-seqs", serving.max_num_seqs, usual.max_num_seqs),
        ("--max-num-batched-tokens", serving.max_num_batched_tokens, usual.max_num_batched_tokens),
        ("--max-pixels", serving.max_pixels, usual.max_pixels),
        ("--kv-cache-dtype", choice.kv_cache_dtype, "auto"),
        ("--dtype", options["dtype"], "auto"),
        ("--block-size", serving.block_size, usual.block_size),
        ("--overhead-gib", options["overhead_gib"], None),
    ):
        if value != default:
            words += [name, f"{value:g}" if isinstance(value, float) else str(value)]
    return FailedError(Fault.MODEL_DOES_NOT_FIT, error, next=Do(shlex.join(words)))
