"""vLLM 0.20.1's metrics: its names, labels and buckets.

Source: ``vllm/v1/metrics/loggers.py``. Times are real seconds, as a client sees them, not the
modelled GPU's.
"""

from __future__ import annotations

from collections.abc import Mapping

from rocminfra.lab.engine.metric_types import (
    Counter,
    Gauge,
    Histogram,
    Metric,
    labels_text,
    one_two_five,
)

_TTFT = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5),
    *(10.0, 20.0, 40.0, 80.0, 160.0, 640.0, 2560.0),
)
_TOKEN = (
    *(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
    *(20.0, 40.0, 80.0),
)
_REQUEST = (
    *(0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0),
    *(240.0, 480.0, 960.0, 1920.0, 7680.0),
)
_STEP_TOKENS = (1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)


class EngineMetrics:
    """Every metric of one engine.

    + model_name: as clients ask for it
    + max_model_len: bounds the histograms of lengths
    + cache_config: labels of ``vllm:cache_config_info``
    """

    def __init__(
        self, model_name: str, max_model_len: int, cache_config: Mapping[str, str]
    ) -> None:
        self._labels = {"engine": "0", "model_name": model_name}
        self._cache_config = {"engine": "0", **cache_config}
        self._lengths = one_two_five(max_model_len)
        self._all: list[Metric] = []
        self._add_state()
        self._add_counters()
        self._add_lengths()
        self._add_times()

    def render(self) -> bytes:
        """The body of ``/metrics``."""
        lines = [
            "# HELP vllm:cache_config_info Information of the LLMEngine CacheConfig",
            "# TYPE vllm:cache_config_info gauge",
            f"vllm:cache_config_info{labels_text(self._cache_config)} 1.0",
        ]
        for metric in self._all:
            lines.extend(metric.render())
        return ("\n".join(lines) + "\n").encode()

    def _add_state(self) -> None:
        self.running = self._gauge(
            "num_requests_running", "Number of requests in model execution batches."
        )
        self.waiting = self._gauge(
            "num_requests_waiting", "Number of requests waiting to be processed."
        )
        self.waiting_by_reason = self._gauge(
            "num_requests_waiting_by_reason",
            "Number of requests waiting to be processed, by reason.",
            ("reason", ("capacity", "deferred")),
        )
        self.kv_usage = self._gauge(
            "kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent usage."
        )
        self.sleep_state = self._gauge(
            "engine_sleep_state",
            "Engine sleep state; awake = 0 means engine is sleeping; awake = 1 means engine is "
            "awake; weights_offloaded = 1 means sleep level 1; discard_all = 1 means sleep level "
            "2.",
            ("sleep_state", ("awake", "weights_offloaded", "discard_all")),
        )
        self.sleep_state.set(1, "awake")

    def _add_counters(self) -> None:
        counter = self._counter
        self.preemptions = counter(
            "num_preemptions", "Cumulative number of preemption from the engine."
        )
        self.prompt_tokens = counter("prompt_tokens", "Number of prefill tokens processed.")
        self.prompt_tokens_by_source = counter(
            "prompt_tokens_by_source",
            "Number of prompt tokens by source.",
            ("source", ("local_compute", "local_cache_hit", "external_kv_transfer")),
        )
        self.prompt_tokens_cached = counter(
            "prompt_tokens_cached", "Number of cached prompt tokens (local + external)."
        )
        self.generation_tokens = counter(
            "generation_tokens", "Number of generation tokens processed."
        )
        self.request_success = counter(
            "request_success",
            "Count of successfully processed requests.",
            ("finished_reason", ("stop", "length", "abort", "error", "repetition")),
        )
        self.prefix_queries = counter(
            "prefix_cache_queries",
            "Prefix cache queries, in terms of number of queried tokens.",
        )
        self.prefix_hits = counter(
            "prefix_cache_hits", "Prefix cache hits, in terms of number of cached tokens."
        )
        counter(
            "external_prefix_cache_queries",
            "External prefix cache queries from KV connector cross-instance cache sharing, in "
            "terms of number of queried tokens.",
        )
        counter(
            "external_prefix_cache_hits",
            "External prefix cache hits from KV connector cross-instance cache sharing, in terms "
            "of number of cached tokens.",
        )
        self.mm_queries = counter(
            "mm_cache_queries",
            "Multi-modal cache queries, in terms of number of queried items.",
        )
        counter("mm_cache_hits", "Multi-modal cache hits, in terms of number of cached items.")

    def _add_lengths(self) -> None:
        histogram = self._histogram
        self.request_prompt_tokens = histogram(
            "request_prompt_tokens", "Number of prefill tokens processed.", self._lengths
        )
        self.request_generation_tokens = histogram(
            "request_generation_tokens", "Number of generation tokens processed.", self._lengths
        )
        self.iteration_tokens = histogram(
            "iteration_tokens_total", "Histogram of number of tokens per engine_step.", _STEP_TOKENS
        )
        self.request_max_generation_tokens = histogram(
            "request_max_num_generation_tokens",
            "Histogram of maximum number of requested generation tokens.",
            self._lengths,
        )
        self.request_n = histogram(
            "request_params_n", "Histogram of the n request parameter.", (1, 2, 5, 10, 20)
        )
        self.request_max_tokens = histogram(
            "request_params_max_tokens",
            "Histogram of the max_tokens request parameter.",
            self._lengths,
        )
        self.request_prefill_computed = histogram(
            "request_prefill_kv_computed_tokens",
            "Histogram of new KV tokens computed during prefill (excluding cached tokens).",
            self._lengths,
        )

    def _add_times(self) -> None:
        histogram = self._histogram
        self.ttft = histogram(
            "time_to_first_token_seconds", "Histogram of time to first token in seconds.", _TTFT
        )
        self.itl = histogram(
            "inter_token_latency_seconds", "Histogram of inter-token latency in seconds.", _TOKEN
        )
        self.tpot = histogram(
            "request_time_per_output_token_seconds",
            "Histogram of time_per_output_token_seconds per request.",
            _TOKEN,
        )
        self.e2e = histogram(
            "e2e_request_latency_seconds",
            "Histogram of e2e request latency in seconds.",
            _REQUEST,
        )
        self.queue_time = histogram(
            "request_queue_time_seconds",
            "Histogram of time spent in WAITING phase for request.",
            _REQUEST,
        )
        self.inference_time = histogram(
            "request_inference_time_seconds",
            "Histogram of time spent in RUNNING phase for request.",
            _REQUEST,
        )
        self.prefill_time = histogram(
            "request_prefill_time_seconds",
            "Histogram of time spent in PREFILL phase for request.",
            _REQUEST,
        )
        self.decode_time = histogram(
            "request_decode_time_seconds",
            "Histogram of time spent in DECODE phase for request.",
            _REQUEST,
        )

    def _gauge(
        self, name: str, text: str, split: tuple[str, tuple[str, ...]] | None = None
    ) -> Gauge:
        metric = Gauge(f"vllm:{name}", text, self._labels, split)
        self._all.append(metric)
        return metric

    def _counter(
        self, name: str, text: str, split: tuple[str, tuple[str, ...]] | None = None
    ) -> Counter:
        metric = Counter(f"vllm:{name}", text, self._labels, split)
        self._all.append(metric)
        return metric

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        metric = Histogram(f"vllm:{name}", text, self._labels, buckets)
        self._all.append(metric)
        return metric
