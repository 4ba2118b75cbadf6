"""Errors of predictions for published runs by constants that never saw their source.

The table is written by ``tests/performance/left_out_table.py`` from what
``tests/performance/latency_fit.py`` found; the constants are in
``benchmarks/published/left-out.yaml``. Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LeftOut:
    """Errors of one kind of figure in one kind of case.

    + gpu, count, family, has_experts, is_fp8: as :class:`~rocminfra.planning.prediction.bands.Case`
    + kind: ``ttft``, ``itl``, ``latency`` or ``throughput``
    + source: its file in ``benchmarks/published/``, or ``reference``
    + errors: logarithms of predicted over measured
    """

    gpu: str
    count: int
    family: str
    has_experts: bool
    is_fp8: bool
    kind: str
    source: str
    errors: tuple[float, ...]

    @property
    def is_amd(self) -> bool:
        """Whether it was on AMD's GPUs."""
        return self.gpu.startswith("mi")


def _row(line: str) -> LeftOut:
    gpu, count, family, shape, precision, kind, source, *errors = line.split()
    return LeftOut(
        gpu,
        int(count),
        family,
        shape == "experts",
        precision == "fp8",
        kind,
        source,
        tuple(float(error) for error in errors),
    )


# GPU, how many, family, dense or experts, precision, kind of figure, source, errors.
_TABLE = """
a100-80 1 llama dense bf16 itl lambda-vllm-benchmark +0.081
a100-80 1 llama dense bf16 latency vllm-performance-benchmark -0.044
a100-80 1 llama dense bf16 throughput vllm-performance-benchmark +0.061
a100-80 1 qwen3 dense bf16 itl gpustack-performance-lab +0.031 -0.133 -0.103 +0.016 +0.274 +0.284
a100-80 1 qwen3 dense bf16 itl gpustack-performance-lab +0.123 +0.135 +0.216 +0.211 +0.459 +0.471
a100-80 1 qwen3 dense bf16 itl gpustack-performance-lab -0.376 -0.041 +0.129 -0.096 +0.256 -0.082
a100-80 1 qwen3 dense bf16 itl gpustack-performance-lab +0.496 +0.499
a100-80 1 qwen3 dense bf16 itl tt-inference-server-340 -0.180 -0.193 -0.206 -0.229
a100-80 1 qwen3 dense bf16 latency tt-inference-server-340 -0.187 -0.189 -0.199 -0.183
a100-80 1 qwen3 dense bf16 throughput gpustack-performance-lab -0.034 -0.223 -0.284 -0.141 -0.203
a100-80 1 qwen3 dense bf16 throughput gpustack-performance-lab -0.128 -0.381 -0.267 -0.330 -0.245
a100-80 1 qwen3 dense bf16 ttft gpustack-performance-lab -0.035 +0.162 +0.299 +0.158 +0.208 -0.056
a100-80 1 qwen3 dense bf16 ttft gpustack-performance-lab +0.390 +0.270 +0.323 +0.118
a100-80 1 qwen3 dense bf16 ttft tt-inference-server-340 -0.075 -0.281 +0.017 +0.420
a100-80 1 qwen3 dense fp8 itl gpustack-performance-lab -0.216 -0.259 -0.266 -0.333
a100-80 1 qwen3 dense fp8 throughput gpustack-performance-lab +0.176 +0.191
a100-80 1 qwen3 dense fp8 ttft gpustack-performance-lab -0.255 -0.221
a100-80 1 qwen3_moe experts bf16 itl tt-inference-server-340 -0.195 -0.202 -0.209 -0.211 -0.223
a100-80 1 qwen3_moe experts bf16 itl tt-inference-server-340 -0.235
a100-80 1 qwen3_moe experts bf16 latency tt-inference-server-340 -0.180 -0.196 -0.175 -0.122 -0.064
a100-80 1 qwen3_moe experts bf16 latency tt-inference-server-340 -0.004
a100-80 1 qwen3_moe experts bf16 ttft tt-inference-server-340 +0.285 +0.565 +0.261
a100-80 2 mixtral experts bf16 latency vllm-performance-benchmark +0.158
a100-80 2 mixtral experts bf16 throughput vllm-performance-benchmark +0.004
a100-80 4 llama dense bf16 latency vllm-performance-benchmark -0.085
a100-80 4 llama dense bf16 throughput vllm-performance-benchmark +0.066
a100-80 4 qwen3_moe experts fp8 itl gpustack-performance-lab -0.285 -0.463 +0.076 +0.073 -0.173
a100-80 4 qwen3_moe experts fp8 itl gpustack-performance-lab -0.153 -0.053 -0.060 +0.208 +0.211
a100-80 4 qwen3_moe experts fp8 throughput gpustack-performance-lab +0.187 -0.092 +0.133 +0.045
a100-80 4 qwen3_moe experts fp8 throughput gpustack-performance-lab -0.043
a100-80 4 qwen3_moe experts fp8 ttft gpustack-performance-lab -0.205 +0.101 -0.108 -0.025 -0.018
a100-80 8 qwen3_moe experts bf16 itl gpustack-performance-lab -0.451 -0.358 -0.053 -0.053 -0.169
a100-80 8 qwen3_moe experts bf16 itl gpustack-performance-lab -0.141 -0.022 -0.034 +0.174 +0.183
a100-80 8 qwen3_moe experts bf16 throughput gpustack-performance-lab +0.206 +0.041 +0.091 +0.019
a100-80 8 qwen3_moe experts bf16 throughput gpustack-performance-lab -0.033
a100-80 8 qwen3_moe experts bf16 ttft gpustack-performance-lab -0.349 -0.030 -0.073 -0.013 -0.047
h100-80 1 llama dense bf16 itl lambda-vllm-benchmark -0.013
h100-80 1 llama dense bf16 latency inference-sim-training -0.290 -0.341 -0.278 -0.244 -0.490
h100-80 1 llama dense bf16 latency vllm-performance-benchmark -0.095
h100-80 1 llama dense bf16 throughput vllm-performance-benchmark +0.073
h100-80 1 llama dense bf16 ttft inference-sim-training -0.048 -0.015 -0.100 -0.086 -0.083 -0.084
h100-80 1 llama dense bf16 ttft inference-sim-training -0.067 -0.055 -0.308 -0.289
h100-80 1 qwen3 dense bf16 itl gpustack-performance-lab -0.531 -0.059 -0.782 -0.572 +0.004 +0.003
h100-80 1 qwen3 dense bf16 itl vllm-38479 -0.179
h100-80 1 qwen3 dense bf16 throughput gpustack-performance-lab +0.351 +0.099 +0.044
h100-80 1 qwen3 dense bf16 ttft gpustack-performance-lab -0.592 -0.103 -0.923 -0.982
h100-80 1 qwen3 dense bf16 ttft vllm-38479 -0.559
h100-80 1 qwen3_moe experts bf16 itl vllm-23151 +0.186
h100-80 1 qwen3_moe experts bf16 throughput vllm-23151 -0.182
h100-80 1 qwen3_moe experts bf16 ttft vllm-23151 +0.290 +0.152
h100-80 2 llama dense bf16 latency inference-sim-training +0.055 +0.049 +0.053 +0.046 +0.071
h100-80 2 llama dense bf16 ttft inference-sim-training +0.007 +0.026 +0.014 +0.034 +0.005 +0.024
h100-80 2 llama dense bf16 ttft inference-sim-training +0.028 +0.027 +0.001 +0.019
h100-80 2 mixtral experts bf16 latency inference-sim-training +0.041 +0.019 +0.004 +0.008 +0.038
h100-80 2 mixtral experts bf16 latency vllm-performance-benchmark -0.020
h100-80 2 mixtral experts bf16 throughput vllm-performance-benchmark +0.216
h100-80 2 mixtral experts bf16 ttft inference-sim-training -0.136 +0.040 -0.000 +0.001 -0.129
h100-80 2 mixtral experts bf16 ttft inference-sim-training +0.011 -0.120 -0.009 -0.084 +0.009
h100-80 2 qwen2 dense bf16 itl tt-inference-server-143 -0.029 -0.028 -0.030 -0.029 -0.030 -0.028
h100-80 2 qwen2 dense bf16 itl tt-inference-server-143 -0.027
h100-80 2 qwen2 dense bf16 latency tt-inference-server-143 -0.028 -0.029 -0.013 +0.027 +0.040
h100-80 2 qwen2 dense bf16 latency tt-inference-server-143 +0.029
h100-80 2 qwen2 dense bf16 ttft tt-inference-server-143 +0.011 +0.172 +0.391 +0.371
h100-80 4 llama dense bf16 itl lambda-vllm-benchmark +0.045
h100-80 4 llama dense bf16 latency inference-sim-training -0.034 -0.047 +0.014 -0.033 +0.001
h100-80 4 llama dense bf16 latency vllm-performance-benchmark -0.082
h100-80 4 llama dense bf16 throughput vllm-performance-benchmark +0.026
h100-80 4 llama dense bf16 ttft inference-sim-training -0.066 -0.022 -0.638 -0.066 -0.032 +0.012
h100-80 4 llama dense bf16 ttft inference-sim-training -0.060 -0.055 -0.037 -0.013
h100-80 4 qwen3_moe experts fp8 itl gpustack-performance-lab -0.622 -0.132 -0.644 -0.131 -0.215
h100-80 4 qwen3_moe experts fp8 itl gpustack-performance-lab -0.220 -0.212 +0.018 -0.266 -0.044
h100-80 4 qwen3_moe experts fp8 itl gpustack-performance-lab +1.104 +1.497
h100-80 4 qwen3_moe experts fp8 throughput gpustack-performance-lab +0.174 +0.145 -0.046 -0.004
h100-80 4 qwen3_moe experts fp8 throughput gpustack-performance-lab +0.062 -0.485
h100-80 4 qwen3_moe experts fp8 ttft gpustack-performance-lab -0.052 -0.025 +0.055 +0.016 -0.067
h100-80 4 qwen3_moe experts fp8 ttft gpustack-performance-lab +0.366
h100-80 8 llama dense bf16 itl lambda-vllm-benchmark -0.020 +0.035
h100-80 8 qwen3 dense fp8 itl vllm-48757 +0.002
h100-80 8 qwen3 dense fp8 throughput vllm-48757 -0.005
h100-80 8 qwen3_moe experts bf16 itl gpustack-performance-lab -0.518 -0.040 -0.111 -0.103 -0.003
h100-80 8 qwen3_moe experts bf16 itl gpustack-performance-lab +0.142 -0.072 +0.026 +0.009 +0.028
h100-80 8 qwen3_moe experts bf16 throughput gpustack-performance-lab +0.093 -0.141 -0.157 -0.079
h100-80 8 qwen3_moe experts bf16 throughput gpustack-performance-lab -0.109
h100-80 8 qwen3_moe experts bf16 ttft gpustack-performance-lab +0.059 +0.148 +0.142 +0.074 +0.121
h200 1 llama dense bf16 latency vllm-performance-benchmark -0.161
h200 1 llama dense bf16 throughput mi300x-vs-h200 -0.007 -0.013 -0.024 -0.061 -0.085 -0.131 -0.302
h200 1 llama dense bf16 throughput mi300x-vs-h200 -0.361
h200 1 llama dense bf16 throughput vllm-performance-benchmark +0.143
h200 1 llama dense fp8 throughput mi300x-vs-h200 -0.389
h200 2 mixtral experts bf16 latency vllm-performance-benchmark -0.105
h200 2 mixtral experts bf16 throughput vllm-performance-benchmark +0.443
h200 4 llama dense bf16 latency vllm-performance-benchmark -0.144
h200 4 llama dense bf16 throughput vllm-performance-benchmark +0.093
mi300x 1 llama dense bf16 throughput mi300x-vs-h200 +0.081 +0.072 +0.080 +0.082 +0.098 +0.153
mi300x 1 llama dense bf16 throughput mi300x-vs-h200 +0.073 +0.051
mi300x 1 llama dense bf16 throughput runara-amd-mi300x -0.237 -0.242 -0.238
mi300x 1 llama dense fp8 throughput azure-ai-benchmarking-guide -0.278 -0.177 -0.112 -0.075 -0.058
mi300x 1 llama dense fp8 throughput azure-ai-benchmarking-guide -0.040
mi300x 1 llama dense fp8 throughput mi300x-vs-h200 -0.185
mi300x 1 qwen2_vl dense bf16 itl reference +0.071 +0.029 -0.134
mi300x 1 qwen2_vl dense bf16 throughput reference +0.179 +0.181
mi300x 1 qwen2_vl dense bf16 ttft reference +0.200
mi300x 1 qwen3_moe experts fp8 throughput vllm-17530-17535 +0.739 +0.648 +0.746
mi300x 4 llama dense bf16 throughput vllm-13305 -0.129
mi300x 4 llama dense bf16 ttft vllm-13305 -0.628 -0.786
mi300x 4 qwen3_moe experts fp8 throughput vllm-17530-17535 +0.797 +0.706
mi300x 8 llama dense fp8 throughput azure-ai-benchmarking-guide -0.016 +0.011 +0.029 +0.031 +0.005
mi300x 8 llama dense fp8 throughput azure-ai-benchmarking-guide +0.042 -0.093 -0.035 -0.018 -0.029
mi300x 8 llama dense fp8 throughput azure-ai-benchmarking-guide -0.075 +0.065
mi325x 8 llama dense fp8 latency vultr-rocm-cookbook +0.129 +0.618 +0.568
mi325x 8 llama dense fp8 throughput vultr-rocm-cookbook -0.132 -0.391 -0.568
mi325x 8 qwen3_moe experts bf16 latency vultr-rocm-cookbook +0.284 +0.616 +0.531
mi325x 8 qwen3_moe experts bf16 throughput vultr-rocm-cookbook -0.284 -0.459 -0.516
"""

LEFT_OUT = tuple(_row(line) for line in _TABLE.splitlines() if line)
