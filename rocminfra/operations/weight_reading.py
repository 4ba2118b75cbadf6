"""What one step of a model's decoder reads at least, which no inter-token latency can be below."""

from __future__ import annotations

from rocminfra.model_files import load_model
from rocminfra.planning.engine.gpus import GPUS
from rocminfra.planning.model.spec import UnknownModelError
from rocminfra.settings import Settings

# Options of `vllm serve` with which a step reads less than the weights as they are stored, makes
# several tokens, or reads another model.
_CHANGING = (
    *("--quantization", "-q", "--speculative-config", "-sc", "--hf-overrides", "--hf-config-path"),
    *("--load-format", "--config", "--dtype", "--additional-config"),
)


def step_bytes(settings: Settings) -> int | None:
    """Bytes of the weights that every step reads: no embedding, no vision encoder, no expert that
    a token passes by. None where nobody can say: a model whose configuration is not on this
    machine, or an engine that reads its weights in another way.

    + settings: of the host
    """
    given = {word.partition("=")[0].replace("_", "-") for word in settings.vllm.extra_args}
    # argparse takes any beginning of an option.
    if any(len(word) > 2 and one.startswith(word) for word in given for one in _CHANGING):
        return None
    if given & set(_CHANGING):
        return None
    model = settings.model
    try:
        spec = load_model(model.planned_as or model.source, settings.vllm.dtype, model.revision)
    except UnknownModelError:
        return None
    passed_by = spec.dtype_bytes * (spec.embedding_parameters + spec.vision_parameters)
    return max(0, spec.active_bytes - passed_by) or None


def bandwidths() -> dict[str, float]:
    """Published memory bandwidth of each known GPU, bytes a second by product name."""
    return {gpu.name: gpu.bandwidth_bytes_per_s for gpu in GPUS.values()}
