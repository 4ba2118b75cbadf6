"""``/metrics`` has the names of vLLM 0.20.1, all of them and no others."""

from __future__ import annotations

from rocminfra.lab.engine.metrics import EngineMetrics

GAUGES = {
    "cache_config_info",
    "engine_sleep_state",
    "kv_cache_usage_perc",
    "num_requests_running",
    "num_requests_waiting",
    "num_requests_waiting_by_reason",
}
COUNTERS = {
    "external_prefix_cache_hits_total",
    "external_prefix_cache_queries_total",
    "generation_tokens_total",
    "mm_cache_hits_total",
    "mm_cache_queries_total",
    "num_preemptions_total",
    "prefix_cache_hits_total",
    "prefix_cache_queries_total",
    "prompt_tokens_by_source_total",
    "prompt_tokens_cached_total",
    "prompt_tokens_total",
    "request_success_total",
}
HISTOGRAMS = {
    "e2e_request_latency_seconds",
    "inter_token_latency_seconds",
    "iteration_tokens_total",
    "request_decode_time_seconds",
    "request_generation_tokens",
    "request_inference_time_seconds",
    "request_max_num_generation_tokens",
    "request_params_max_tokens",
    "request_params_n",
    "request_prefill_kv_computed_tokens",
    "request_prefill_time_seconds",
    "request_prompt_tokens",
    "request_queue_time_seconds",
    "request_time_per_output_token_seconds",
    "time_to_first_token_seconds",
}


def test_names_and_kinds_are_vllms() -> None:
    text = EngineMetrics("m", 16_384, {"num_gpu_blocks": "6590"}).render().decode()
    found: dict[str, set[str]] = {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            name, kind = line.removeprefix("# TYPE ").split()
            assert name.startswith("vllm:")
            found.setdefault(kind, set()).add(name.removeprefix("vllm:"))
    assert found == {"gauge": GAUGES, "counter": COUNTERS, "histogram": HISTOGRAMS}
