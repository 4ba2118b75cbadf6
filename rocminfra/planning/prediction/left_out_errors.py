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
a100-80 1 llama dense bf16 itl lambda-vllm-benchmark +0.325
a100-80 1 qwen3 dense bf16 itl gpustack-performance-lab -0.183 -0.320 -0.286 -0.065 +0.124 +0.130
a100-80 1 qwen3 dense bf16 itl gpustack-performance-lab -0.079 -0.088 -0.013 -0.020 +0.202 +0.213
a100-80 1 qwen3 dense bf16 itl gpustack-performance-lab -0.332 +0.003 +0.013 -0.052 +0.079 -0.039
a100-80 1 qwen3 dense bf16 itl gpustack-performance-lab +0.238 +0.241
a100-80 1 qwen3 dense bf16 itl tt-inference-server-340 -0.180 -0.193 -0.206 -0.229
a100-80 1 qwen3 dense bf16 latency tt-inference-server-340 -0.187 -0.189 -0.202 -0.187
a100-80 1 qwen3 dense bf16 throughput gpustack-performance-lab +0.126 -0.072 -0.135 +0.059 +0.022
a100-80 1 qwen3 dense bf16 throughput gpustack-performance-lab +0.072 -0.259 -0.143 -0.152 -0.016
a100-80 1 qwen3 dense bf16 ttft gpustack-performance-lab -0.223 -0.016 +0.150 -0.047 -0.018 -0.222
a100-80 1 qwen3 dense bf16 ttft gpustack-performance-lab +0.266 +0.144 +0.142 -0.091
a100-80 1 qwen3 dense bf16 ttft tt-inference-server-340 -0.086 -0.291 -0.028 +0.378
a100-80 1 qwen3 dense fp8 itl gpustack-performance-lab -0.585 -0.588 -0.659 -0.701
a100-80 1 qwen3 dense fp8 throughput gpustack-performance-lab +0.482 +0.529
a100-80 1 qwen3 dense fp8 ttft gpustack-performance-lab -0.571 -0.588
a100-80 1 qwen3_moe experts bf16 itl tt-inference-server-340 +0.025 +0.018 +0.010 +0.006 -0.007
a100-80 1 qwen3_moe experts bf16 itl tt-inference-server-340 -0.021
a100-80 1 qwen3_moe experts bf16 latency tt-inference-server-340 +0.055 +0.025 +0.040 +0.079 +0.129
a100-80 1 qwen3_moe experts bf16 latency tt-inference-server-340 +0.183
a100-80 1 qwen3_moe experts bf16 ttft tt-inference-server-340 +0.788 +1.067 +0.435
a100-80 4 qwen3_moe experts fp8 itl gpustack-performance-lab -0.614 -0.644 -0.226 -0.234 -0.619
a100-80 4 qwen3_moe experts fp8 itl gpustack-performance-lab -0.636 -0.545 -0.563 -0.328 -0.328
a100-80 4 qwen3_moe experts fp8 throughput gpustack-performance-lab +0.404 +0.206 +0.572 +0.522
a100-80 4 qwen3_moe experts fp8 throughput gpustack-performance-lab +0.349
a100-80 4 qwen3_moe experts fp8 ttft gpustack-performance-lab -0.509 -0.197 -0.557 -0.508 -0.330
a100-80 8 qwen3_moe experts bf16 itl gpustack-performance-lab -0.564 -0.362 -0.253 -0.256 -0.429
a100-80 8 qwen3_moe experts bf16 itl gpustack-performance-lab -0.432 -0.316 -0.339 -0.154 -0.148
a100-80 8 qwen3_moe experts bf16 throughput gpustack-performance-lab +0.267 +0.238 +0.345 +0.298
a100-80 8 qwen3_moe experts bf16 throughput gpustack-performance-lab +0.173
a100-80 8 qwen3_moe experts bf16 ttft gpustack-performance-lab -0.461 -0.228 -0.338 -0.301 -0.201
h100-80 1 llama dense bf16 itl lambda-vllm-benchmark -0.030
h100-80 1 llama dense bf16 latency inference-sim-training -0.240 -0.261 -0.218 -0.173 -0.288
h100-80 1 llama dense bf16 ttft inference-sim-training -0.021 +0.018 -0.026 -0.018 -0.058 -0.072
h100-80 1 llama dense bf16 ttft inference-sim-training -0.007 +0.011 -0.132 -0.103
h100-80 1 qwen3 dense bf16 itl gpustack-performance-lab -0.533 -0.061 -0.789 -0.581 -0.014 -0.015
h100-80 1 qwen3 dense bf16 itl vllm-38479 +0.004
h100-80 1 qwen3 dense bf16 throughput gpustack-performance-lab +0.354 +0.105 +0.062
h100-80 1 qwen3 dense bf16 ttft gpustack-performance-lab -0.593 -0.109 -0.938 -1.000
h100-80 1 qwen3 dense bf16 ttft vllm-38479 -0.549
h100-80 1 qwen3_moe experts bf16 itl vllm-23151 +0.153
h100-80 1 qwen3_moe experts bf16 throughput vllm-23151 -0.145
h100-80 1 qwen3_moe experts bf16 ttft vllm-23151 +0.082 -0.058
h100-80 2 llama dense bf16 latency inference-sim-training +0.095 +0.181 +0.077 +0.096 +0.101
h100-80 2 llama dense bf16 ttft inference-sim-training +0.040 +0.053 +0.120 +0.132 +0.030 +0.051
h100-80 2 llama dense bf16 ttft inference-sim-training +0.066 +0.057 +0.029 +0.053
h100-80 2 mixtral experts bf16 latency inference-sim-training +0.070 +0.071 +0.047 +0.118 +0.072
h100-80 2 mixtral experts bf16 ttft inference-sim-training -0.108 +0.067 +0.051 +0.050 -0.091
h100-80 2 mixtral experts bf16 ttft inference-sim-training +0.046 -0.026 +0.084 -0.054 +0.032
h100-80 2 qwen2 dense bf16 itl tt-inference-server-143 -0.099 -0.098 -0.100 -0.099 -0.100 -0.098
h100-80 2 qwen2 dense bf16 itl tt-inference-server-143 -0.097
h100-80 2 qwen2 dense bf16 latency tt-inference-server-143 -0.098 -0.098 -0.086 -0.050 -0.039
h100-80 2 qwen2 dense bf16 latency tt-inference-server-143 -0.052
h100-80 2 qwen2 dense bf16 ttft tt-inference-server-143 -0.066 +0.094 +0.254 +0.224
h100-80 4 llama dense bf16 itl lambda-vllm-benchmark -0.013
h100-80 4 llama dense bf16 latency inference-sim-training -0.007 +0.076 +0.025 +0.004 +0.018
h100-80 4 llama dense bf16 ttft inference-sim-training -0.045 -0.008 -0.534 +0.039 -0.022 +0.017
h100-80 4 llama dense bf16 ttft inference-sim-training -0.008 -0.005 -0.052 -0.026
h100-80 4 qwen3_moe experts fp8 itl gpustack-performance-lab -0.301 -0.050 -0.314 -0.052 -0.029
h100-80 4 qwen3_moe experts fp8 itl gpustack-performance-lab -0.333 +0.038 -0.050 +0.066 -0.107
h100-80 4 qwen3_moe experts fp8 itl gpustack-performance-lab +1.609 +2.011
h100-80 4 qwen3_moe experts fp8 throughput gpustack-performance-lab +0.094 +0.065 -0.236 -0.264
h100-80 4 qwen3_moe experts fp8 throughput gpustack-performance-lab -0.262 -0.718
h100-80 4 qwen3_moe experts fp8 ttft gpustack-performance-lab +0.158 +0.192 +0.248 +0.289 +0.275
h100-80 4 qwen3_moe experts fp8 ttft gpustack-performance-lab +0.531
h100-80 8 llama dense bf16 itl lambda-vllm-benchmark -0.182 -0.063
h100-80 8 qwen3 dense fp8 itl vllm-48757 +0.162
h100-80 8 qwen3 dense fp8 throughput vllm-48757 -0.166
h100-80 8 qwen3_moe experts bf16 itl gpustack-performance-lab -0.511 -0.068 -0.149 -0.181 -0.008
h100-80 8 qwen3_moe experts bf16 itl gpustack-performance-lab +0.096 -0.062 -0.017 +0.044 +0.065
h100-80 8 qwen3_moe experts bf16 throughput gpustack-performance-lab +0.123 -0.103 -0.153 -0.088
h100-80 8 qwen3_moe experts bf16 throughput gpustack-performance-lab -0.123
h100-80 8 qwen3_moe experts bf16 ttft gpustack-performance-lab +0.072 +0.111 +0.142 +0.088 +0.131
mi300x 1 llama dense bf16 throughput runara-amd-mi300x -0.228 -0.233 -0.230
mi300x 1 llama dense fp8 throughput azure-ai-benchmarking-guide -0.068 -0.021 +0.019 +0.056 +0.097
mi300x 1 llama dense fp8 throughput azure-ai-benchmarking-guide +0.103
mi300x 1 qwen2_vl dense bf16 itl reference +0.078 -0.069 -0.136
mi300x 1 qwen2_vl dense bf16 throughput reference +0.179 +0.181
mi300x 1 qwen2_vl dense bf16 ttft reference +0.198
mi300x 1 qwen3_moe experts fp8 throughput vllm-17530-17535 +0.794 +0.795 +0.751
mi300x 4 llama dense bf16 throughput vllm-13305 -0.121
mi300x 4 llama dense bf16 ttft vllm-13305 -0.802 -1.011
mi300x 4 qwen3_moe experts fp8 throughput vllm-17530-17535 +0.831 +0.816
mi300x 8 llama dense fp8 throughput azure-ai-benchmarking-guide +0.148 +0.159 +0.171 +0.173 +0.159
mi300x 8 llama dense fp8 throughput azure-ai-benchmarking-guide +0.185 +0.127 +0.176 +0.189 +0.178
mi300x 8 llama dense fp8 throughput azure-ai-benchmarking-guide +0.139 +0.272
mi325x 8 llama dense fp8 latency vultr-rocm-cookbook -0.028 +0.590 +0.569
mi325x 8 llama dense fp8 throughput vultr-rocm-cookbook +0.025 -0.337 -0.570
"""

LEFT_OUT = tuple(_row(line) for line in _TABLE.splitlines() if line)
