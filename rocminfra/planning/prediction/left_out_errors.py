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
a100-80 1 llama dense bf16 itl +0.325
a100-80 1 qwen3 dense bf16 itl -0.183 -0.318 -0.286 -0.065 +0.202 +0.213 +0.238
a100-80 1 qwen3 dense bf16 itl +0.241 -0.079 -0.088 -0.013 -0.020 +0.013 -0.052
a100-80 1 qwen3 dense bf16 itl +0.079 -0.039 +0.124 +0.130 -0.332 +0.003 -0.180
a100-80 1 qwen3 dense bf16 itl -0.193 -0.206 -0.229
a100-80 1 qwen3 dense bf16 latency -0.187 -0.189 -0.202 -0.187
a100-80 1 qwen3 dense bf16 throughput +0.126 -0.072 +0.072 -0.016 +0.059 +0.022 -0.143
a100-80 1 qwen3 dense bf16 throughput -0.152 -0.135 -0.259
a100-80 1 qwen3 dense bf16 ttft -0.223 -0.016 -0.222 -0.091 -0.047 -0.018 +0.144
a100-80 1 qwen3 dense bf16 ttft +0.142 +0.150 +0.266 -0.086 -0.291 -0.028 +0.378
a100-80 1 qwen3 dense fp8 itl -0.585 -0.586 -0.659 -0.691
a100-80 1 qwen3 dense fp8 throughput +0.482 +0.529
a100-80 1 qwen3 dense fp8 ttft -0.571 -0.588
a100-80 1 qwen3_moe experts bf16 itl +0.025 +0.018 +0.010 +0.006 -0.008 -0.021
a100-80 1 qwen3_moe experts bf16 latency +0.055 +0.025 +0.040 +0.079 +0.129 +0.183
a100-80 1 qwen3_moe experts bf16 ttft +0.788 +1.067 +0.435
a100-80 4 qwen3_moe experts fp8 itl -0.614 -0.645 -0.328 -0.327 -0.619 -0.635 -0.545
a100-80 4 qwen3_moe experts fp8 itl -0.562 -0.226 -0.234
a100-80 4 qwen3_moe experts fp8 throughput +0.404 +0.349 +0.572 +0.522 +0.206
a100-80 4 qwen3_moe experts fp8 ttft -0.509 -0.330 -0.557 -0.508 -0.197
a100-80 8 qwen3_moe experts bf16 itl -0.564 -0.365 -0.154 -0.147 -0.429 -0.432 -0.316
a100-80 8 qwen3_moe experts bf16 itl -0.339 -0.253 -0.256
a100-80 8 qwen3_moe experts bf16 throughput +0.267 +0.173 +0.345 +0.298 +0.238
a100-80 8 qwen3_moe experts bf16 ttft -0.461 -0.201 -0.338 -0.301 -0.228
h100-80 1 llama dense bf16 itl -0.030
h100-80 1 llama dense bf16 latency -0.236 -0.254 -0.212 -0.167 -0.263
h100-80 1 llama dense bf16 ttft -0.018 +0.014 -0.045 -0.027 -0.022 -0.011 -0.003
h100-80 1 llama dense bf16 ttft +0.004 -0.115 -0.088
h100-80 1 qwen3 dense bf16 itl -0.533 -0.062 -0.789 -0.580 -0.014 -0.014 +0.003
h100-80 1 qwen3 dense bf16 throughput +0.354 +0.105 +0.062
h100-80 1 qwen3 dense bf16 ttft -0.593 -0.109 -0.938 -0.999 -0.549
h100-80 1 qwen3_moe experts bf16 itl +0.153
h100-80 1 qwen3_moe experts bf16 throughput -0.146
h100-80 1 qwen3_moe experts bf16 ttft +0.083 -0.056
h100-80 2 llama dense bf16 latency +0.097 +0.185 +0.078 +0.098 +0.102
h100-80 2 llama dense bf16 ttft +0.040 +0.061 +0.129 +0.140 +0.027 +0.053 +0.068
h100-80 2 llama dense bf16 ttft +0.072 +0.031 +0.051
h100-80 2 mixtral experts bf16 latency +0.071 +0.072 +0.048 +0.118 +0.073
h100-80 2 mixtral experts bf16 ttft -0.107 +0.073 +0.046 +0.046 -0.093 +0.044 -0.022
h100-80 2 mixtral experts bf16 ttft +0.088 -0.051 +0.041
h100-80 2 qwen2 dense bf16 itl -0.099 -0.100 -0.099 -0.100 -0.098 -0.097 -0.098
h100-80 2 qwen2 dense bf16 latency -0.098 -0.086 -0.050 -0.039 -0.052 -0.098
h100-80 2 qwen2 dense bf16 ttft -0.066 +0.254 +0.224 +0.094
h100-80 4 llama dense bf16 itl -0.013
h100-80 4 llama dense bf16 latency -0.006 +0.079 +0.027 +0.006 +0.019
h100-80 4 llama dense bf16 ttft -0.057 -0.017 -0.521 +0.054 -0.021 +0.027 -0.010
h100-80 4 llama dense bf16 ttft -0.008 -0.022 +0.007
h100-80 4 qwen3_moe experts fp8 itl -0.301 -0.050 -0.314 -0.051 +1.609 +2.009 +0.038
h100-80 4 qwen3_moe experts fp8 itl -0.050 +0.066 -0.106 -0.029 -0.332
h100-80 4 qwen3_moe experts fp8 throughput +0.094 +0.065 -0.718 -0.264 -0.262 -0.236
h100-80 4 qwen3_moe experts fp8 ttft +0.158 +0.192 +0.531 +0.289 +0.275 +0.248
h100-80 8 llama dense bf16 itl -0.183 -0.064
h100-80 8 qwen3 dense fp8 itl +0.162
h100-80 8 qwen3 dense fp8 throughput -0.166
h100-80 8 qwen3_moe experts bf16 itl -0.511 -0.067 +0.044 +0.062 -0.008 +0.096 -0.062
h100-80 8 qwen3_moe experts bf16 itl -0.017 -0.149 -0.181
h100-80 8 qwen3_moe experts bf16 throughput +0.123 -0.123 -0.153 -0.088 -0.103
h100-80 8 qwen3_moe experts bf16 ttft +0.072 +0.131 +0.142 +0.088 +0.111
mi300x 1 llama dense bf16 throughput -0.228 -0.233 -0.230
mi300x 1 llama dense fp8 throughput -0.068 -0.021 +0.097
mi300x 1 qwen2_vl dense bf16 itl +0.078 -0.069 -0.136
mi300x 1 qwen2_vl dense bf16 throughput +0.179 +0.181
mi300x 1 qwen2_vl dense bf16 ttft +0.198
mi300x 1 qwen3_moe experts fp8 throughput +0.805 +0.798 +0.765
mi300x 4 llama dense bf16 throughput -0.122
mi300x 4 llama dense bf16 ttft -0.798 -1.018
mi300x 4 qwen3_moe experts fp8 throughput +0.843 +0.819
mi300x 8 llama dense fp8 throughput +0.148 +0.159 +0.159 +0.127 +0.176 +0.139
mi325x 8 llama dense fp8 latency -0.028 +0.590 +0.569
mi325x 8 llama dense fp8 throughput +0.025 -0.337 -0.570
"""

LEFT_OUT = tuple(_row(line) for line in _TABLE.splitlines() if line)
