"""How far off this planner was where it was held against what others published.

Standard library only.
"""

from __future__ import annotations

from rocminfra.planning.gpus import MI300X, Gpu
from rocminfra.planning.model_spec import ModelSpec
from rocminfra.planning.reference_model import REFERENCE_NAME


def caveat(spec: ModelSpec, gpu: Gpu, tensor_parallel: int) -> str | None:
    """One line on how far off predictions were outside the reference run; None for that run."""
    if spec.name == REFERENCE_NAME and gpu.key == MI300X.key and tensor_parallel == 1:
        return None
    return (
        "outside the reference run this planner was too optimistic: of 188 published figures 36 "
        "were within 20 %, with a median error of 46 %; 8 of 15 worst cases of the KV cache "
        "promised more than the engine had"
    )
