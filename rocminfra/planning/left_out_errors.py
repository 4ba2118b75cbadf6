"""Errors of predictions for published runs by constants that never saw their source.

The table is written by ``tests/performance/left_out_table.py`` from what
``tests/performance/latency_fit.py`` found. Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LeftOut:
    """Errors of one kind of figure in one kind of case.

    + gpu, count, family, has_experts, is_fp8: as :class:`~rocminfra.planning.bands.Case`
    + kind: ``ttft``, ``itl``, ``latency`` or ``throughput``
    + errors: logarithms of predicted over measured
    """

    gpu: str
    count: int
    family: str
    has_experts: bool
    is_fp8: bool
    kind: str
    errors: tuple[float, ...]

    @property
    def is_amd(self) -> bool:
        """Whether it was on AMD's GPUs."""
        return self.gpu.startswith("mi")


def _row(line: str) -> LeftOut:
    gpu, count, family, shape, precision, kind, *errors = line.split()
    return LeftOut(
        gpu,
        int(count),
        family,
        shape == "experts",
        precision == "fp8",
        kind,
        tuple(float(error) for error in errors),
    )


# GPU, how many, family, dense or experts, precision, kind of figure, errors.
_TABLE = """
a100-80 1 llama dense bf16 itl +0.038
a100-80 1 qwen3 dense bf16 itl -0.127 -0.382 -0.300 -0.138 +0.003 -0.012 -0.027
a100-80 1 qwen3 dense bf16 itl -0.053
a100-80 1 qwen3 dense bf16 latency -0.007 -0.008 -0.031 -0.027
a100-80 1 qwen3 dense bf16 throughput +0.218 -0.115
a100-80 1 qwen3 dense bf16 ttft -0.476 +0.009 -0.027 -0.232 -0.048 +0.350
a100-80 1 qwen3 dense fp8 itl -0.242 -0.380 -0.296 -0.487
a100-80 1 qwen3 dense fp8 throughput +0.326 +0.322
a100-80 1 qwen3 dense fp8 ttft -0.556 -0.436
a100-80 1 qwen3_moe experts bf16 itl +0.301 +0.293 +0.285 +0.279 +0.264 +0.248
a100-80 1 qwen3_moe experts bf16 latency +0.328 +0.300 +0.296 +0.304 +0.329 +0.363
a100-80 1 qwen3_moe experts bf16 ttft +1.004 +1.283 +0.447
a100-80 4 qwen3_moe experts fp8 itl -0.066 -0.081
a100-80 4 qwen3_moe experts fp8 throughput -0.130
a100-80 4 qwen3_moe experts fp8 ttft -0.335
a100-80 8 qwen3_moe experts bf16 itl -0.060 +0.218
a100-80 8 qwen3_moe experts bf16 throughput -0.258
a100-80 8 qwen3_moe experts bf16 ttft -0.401
h100-80 1 llama dense bf16 itl +0.041
h100-80 1 qwen3 dense bf16 itl -0.604 -0.409 -0.775 -0.543 +0.057 +0.057
h100-80 1 qwen3 dense bf16 throughput +0.594 -0.031 -0.068
h100-80 1 qwen3 dense bf16 ttft -1.441 -0.054 -1.300 -1.339
h100-80 2 qwen2 dense bf16 itl +0.004 +0.005 +0.003 +0.005 +0.003 +0.005 +0.006
h100-80 2 qwen2 dense bf16 latency +0.004 +0.005 +0.007 +0.035 +0.037 +0.017
h100-80 2 qwen2 dense bf16 ttft -0.033 +0.128 +0.104 +0.096
h100-80 4 llama dense bf16 itl +0.045
h100-80 4 qwen3_moe experts fp8 itl -0.296 +0.282 -0.325 +0.287
h100-80 4 qwen3_moe experts fp8 throughput -0.294 -0.323
h100-80 4 qwen3_moe experts fp8 ttft -0.939 -0.923
h100-80 8 llama dense bf16 itl +0.066 +0.068
h100-80 8 qwen3 dense fp8 itl +0.132
h100-80 8 qwen3 dense fp8 throughput -0.131
h100-80 8 qwen3_moe experts bf16 itl -0.257 +0.385
h100-80 8 qwen3_moe experts bf16 throughput -0.377
h100-80 8 qwen3_moe experts bf16 ttft -1.022
mi300x 1 llama dense bf16 itl +0.589 -0.233
mi300x 1 llama dense bf16 throughput -0.033
mi300x 1 llama dense bf16 ttft +1.058
mi300x 1 qwen2_vl dense bf16 itl +0.020 -0.069 -0.006
mi300x 1 qwen2_vl dense bf16 throughput +0.000 +0.069
mi300x 1 qwen2_vl dense bf16 ttft +0.085
mi300x 1 qwen3_moe experts fp8 throughput +0.464 +0.295 +0.542
mi300x 4 llama dense bf16 throughput +0.040
mi300x 4 llama dense bf16 ttft -0.755 -0.943
mi300x 4 qwen3_moe experts fp8 throughput +0.476 +0.309
mi325x 8 llama dense fp8 latency +0.011 +0.650 +0.582
mi325x 8 llama dense fp8 throughput -0.014 -0.359 -0.582
"""

LEFT_OUT = tuple(_row(line) for line in _TABLE.splitlines() if line)
