"""Errors of predictions for published runs by constants that never saw their source.

The table is written by ``tests/performance/left_out_table.py`` from what
``tests/performance/latency_fit.py`` found. Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LeftOut:
    """Errors of one kind of figure in one kind of case.

    + gpu, count, family, has_experts, is_fp8: as :class:`~rocminfra.planning.prediction.bands.Case`
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
a100-80 1 qwen3 dense bf16 itl -0.311 -0.529 -0.456 -0.215 -0.021 -0.037 -0.051
a100-80 1 qwen3 dense bf16 itl -0.078
a100-80 1 qwen3 dense bf16 latency -0.030 -0.033 -0.042 -0.026
a100-80 1 qwen3 dense bf16 throughput +0.368 +0.017
a100-80 1 qwen3 dense bf16 ttft -0.668 -0.145 +0.032 -0.173 +0.219 +0.652
a100-80 1 qwen3 dense fp8 itl -0.565 -0.661 -0.640 -0.797
a100-80 1 qwen3 dense fp8 throughput +0.609 +0.629
a100-80 1 qwen3 dense fp8 ttft -0.892 -0.789
a100-80 1 qwen3_moe experts bf16 itl +0.103 +0.095 +0.087 +0.082 +0.067 +0.053
a100-80 1 qwen3_moe experts bf16 latency +0.127 +0.102 +0.108 +0.140 +0.184 +0.234
a100-80 1 qwen3_moe experts bf16 ttft +0.762 +1.041 +0.390
a100-80 4 qwen3_moe experts fp8 itl -0.544 -0.487
a100-80 4 qwen3_moe experts fp8 throughput +0.319
a100-80 4 qwen3_moe experts fp8 ttft -0.836
a100-80 8 qwen3_moe experts bf16 itl -0.450 -0.174
a100-80 8 qwen3_moe experts bf16 throughput +0.145
a100-80 8 qwen3_moe experts bf16 ttft -0.791
h100-80 1 llama dense bf16 itl -0.020
h100-80 1 qwen3 dense bf16 itl -0.670 -0.457 -0.818 -0.573 +0.006 +0.005
h100-80 1 qwen3 dense bf16 throughput +0.645 +0.010 -0.017
h100-80 1 qwen3 dense bf16 ttft -1.518 -0.098 -1.358 -1.392
h100-80 2 qwen2 dense bf16 itl -0.038 -0.037 -0.040 -0.038 -0.039 -0.037 -0.036
h100-80 2 qwen2 dense bf16 latency -0.036 -0.037 -0.003 +0.054 +0.083 +0.086
h100-80 2 qwen2 dense bf16 ttft +0.139 +0.300 +0.720 +0.707
h100-80 4 llama dense bf16 itl -0.016
h100-80 4 qwen3_moe experts fp8 itl -0.564 -0.051 -0.593 -0.046
h100-80 4 qwen3_moe experts fp8 throughput +0.062 +0.033
h100-80 4 qwen3_moe experts fp8 ttft -1.175 -1.160
h100-80 8 llama dense bf16 itl -0.054 -0.018
h100-80 8 qwen3 dense fp8 itl +0.049
h100-80 8 qwen3 dense fp8 throughput -0.062
h100-80 8 qwen3_moe experts bf16 itl -0.538 +0.059
h100-80 8 qwen3_moe experts bf16 throughput -0.022
h100-80 8 qwen3_moe experts bf16 ttft -1.288
mi300x 1 llama dense bf16 throughput -0.228 -0.233 -0.230
mi300x 1 llama dense fp8 throughput -0.270 -0.167 -0.104 -0.067 -0.052 -0.033
mi300x 1 qwen2_vl dense bf16 itl +0.078 -0.069 -0.136
mi300x 1 qwen2_vl dense bf16 throughput +0.179 +0.181
mi300x 1 qwen2_vl dense bf16 ttft +0.197
mi300x 1 qwen3_moe experts fp8 throughput +0.735 +0.722 +0.706
mi300x 4 llama dense bf16 throughput +0.079
mi300x 4 llama dense bf16 ttft -0.836 -1.066
mi300x 4 qwen3_moe experts fp8 throughput +0.677 +0.600
mi300x 8 llama dense fp8 throughput -0.008 +0.023 +0.042 +0.042 +0.013 +0.050 -0.090
mi300x 8 llama dense fp8 throughput -0.030 -0.012 -0.024 -0.072 +0.069
mi325x 8 llama dense fp8 latency +0.232 +0.963 +0.915
mi325x 8 llama dense fp8 throughput -0.235 -0.653 -0.915
"""

LEFT_OUT = tuple(_row(line) for line in _TABLE.splitlines() if line)
