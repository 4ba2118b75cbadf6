"""A capacity as JSON, in the form that ``schemas/capacity.json`` publishes."""

from __future__ import annotations

from typing import Any

from rocminfra import __version__
from rocminfra.failure import Argument, ExitCode
from rocminfra.planning.capacity.alternatives import Alternative
from rocminfra.planning.capacity.answer import CapacityPlan, Pages
from rocminfra.planning.capacity.capacity import Capacity
from rocminfra.planning.capacity.remedies import Remedy
from rocminfra.runner.output.run_json import SCHEMA_VERSION
from rocminfra.settings.argument_names import SETTING_OF


def capacity_document(plan: CapacityPlan, code: ExitCode) -> dict[str, Any]:
    """Everything that ``rocminfra capacity`` knows. Bytes are of all GPUs of the engine together
    at the top, of one GPU where a key says ``per_gpu``."""
    chosen = plan.chosen
    spec, gpu = chosen.spec, chosen.gpu
    return {
        "schema": SCHEMA_VERSION,
        "rocminfra": __version__,
        "verb": "capacity",
        "code": int(code),
        "model": {
            "name": spec.name,
            "model_type": spec.model_type,
            "parameters": spec.parameters,
            "weights_basis": spec.weights_basis,
            "layers": [kind.value for kind in spec.kinds],
        },
        "gpu": {
            "key": gpu.key,
            "name": gpu.name,
            "memory_mib": gpu.memory_mib,
            "engine_memory_mib": gpu.visible_mib or gpu.memory_mib,
            "nominal_memory_gb": gpu.nominal_memory_gb,
            "bandwidth_bytes_per_s": gpu.bandwidth_bytes_per_s,
            "bf16_flops": gpu.bf16_flops,
            "source": gpu.source,
        },
        "count": chosen.tensor_parallel,
        "serving": {
            "gpu_memory_utilization": chosen.serving.utilization,
            "max_model_len": chosen.serving.max_model_len,
            "max_num_seqs": chosen.serving.max_num_seqs,
            "max_num_batched_tokens": chosen.serving.max_num_batched_tokens,
            "kv_dtype_bytes": chosen.serving.kv_dtype_bytes,
            "max_pixels": chosen.serving.max_pixels,
            "block_size": chosen.serving.block_size,
        },
        "weights_bytes": spec.weights_bytes,
        "kv_bytes_per_token": chosen.kv_bytes_per_token,
        **_figures(chosen),
        "overhead": {
            "low_bytes_per_gpu": chosen.overhead.low,
            "high_bytes_per_gpu": chosen.overhead.high,
            "expected_bytes_per_gpu": chosen.overhead.expected,
            "basis": chosen.overhead.basis,
            "is_calibrated_input": chosen.overhead.basis == "calibrated",
            "source": chosen.overhead.source,
        },
        "tensor_parallel": [
            {
                "count": row.tensor_parallel,
                "weights_bytes_per_gpu": row.weights_bytes,
                "kv_bytes_per_token_per_gpu": row.spec.kv_bytes_per_token(
                    row.serving.kv_dtype_bytes, row.tensor_parallel
                ),
                **_figures(row),
            }
            for row in plan.sizes
        ],
        "pages": None if plan.pages is None else _pages(plan.pages),
        "remedies": [_remedy(remedy) for remedy in plan.remedies],
        "alternatives": [_alternative(other) for other in plan.alternatives],
        "error": None,
    }


def _figures(row: Capacity) -> dict[str, Any]:
    return {
        "kv_cache_tokens": row.kv_cache_tokens,
        "kv_cache_tokens_at_best": row.kv_cache_tokens_at_best,
        "kv_cache_tokens_expected": row.kv_cache_tokens_expected,
        "kv_blocks": row.kv_blocks,
        "kv_bytes_per_gpu": max(0, row.kv_bytes),
        "max_concurrency": round(row.concurrency(row.serving.max_model_len), 2),
        "itl_floor_ms": round(row.itl_floor_s * 1000, 2),
        "itl_floor_decoder_ms": round(row.itl_floor_decoder_s * 1000, 2),
        "fits": row.fits,
        "may_fit": row.may_fit,
        "headroom_bytes_per_gpu": row.headroom_bytes,
        "refused": row.refused,
    }


def _pages(pages: Pages) -> dict[str, Any]:
    return {
        "width": pages.width,
        "height": pages.height,
        "image_tokens": pages.image_tokens,
        "request_tokens": pages.request_tokens,
        "streams_wanted": pages.wanted,
        "streams_fit": pages.fit,
        "docvqa_streams_fit": pages.docvqa_fit,
    }


def setting_of(remedy: Remedy) -> str | None:
    """The setting that a remedy changes, such as ``vllm.max_model_len=8192``."""
    if remedy.argument is None:
        return None
    return f"{SETTING_OF[Argument('capacity', remedy.argument)]}={remedy.value}"


def _remedy(remedy: Remedy) -> dict[str, Any]:
    return {"words": remedy.words, "setting": setting_of(remedy)}


def _alternative(other: Alternative) -> dict[str, Any]:
    return {
        "name": other.name,
        "nominal_left_gb": round(other.nominal_left_bytes / 1e9, 2),
        "real_left_gb": round(other.real_left_bytes / 1e9, 2),
        "kv_cache_tokens": other.capacity.kv_cache_tokens,
        "kv_cache_tokens_at_best": other.capacity.kv_cache_tokens_at_best,
        "fits": other.capacity.fits,
        "may_fit": other.capacity.may_fit,
        "usd_per_hour": list(other.usd_per_hour),
        "why": other.why,
    }
