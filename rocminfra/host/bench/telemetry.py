"""What engine and GPU do while a benchmark point runs: one JSON line a sample.

The GPUs' figures are in :mod:`rocminfra.host.bench.gpu_telemetry`.

Standard library only: this file is copied to the host as it is.
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any

from rocminfra.host.bench.amd_smi import AMD_SMI_TIMEOUT_S
from rocminfra.planning.bench.exposition import labels, samples
from rocminfra.planning.bench.possible import engine_problem

METRICS = "metrics.jsonl"
METRICS_TIMEOUT_S = 5.0

# vLLM 0.20.1 (vllm/v1/metrics/loggers.py); counters carry the suffix that prometheus_client adds.
ENGINE_SERIES = {
    "running": "vllm:num_requests_running",
    "waiting": "vllm:num_requests_waiting",
    "kv_cache_usage": "vllm:kv_cache_usage_perc",
    "preemptions": "vllm:num_preemptions_total",
    "prompt_tokens": "vllm:prompt_tokens_total",
    "generation_tokens": "vllm:generation_tokens_total",
    "requests": "vllm:request_success_total",
}
# What vLLM called a series before 0.10, whose images may still be served.
_FORMER = {"vllm:gpu_cache_usage_perc": "kv_cache_usage"}
# Parts of a whole, of which each data-parallel engine has its own: the fullest one's counts, for
# requests wait as soon as one engine is full.
SHARES = {"kv_cache_usage"}


def engine_sample(text: str) -> dict[str, float]:
    """The interesting series of a Prometheus page: summed over engines and other labels, and of
    shares the highest.

    + text: the page; a series that is not in it, or that cannot be, is not in the answer
    """
    return _read_engine(text)[0]


def engine_reasons(text: str) -> list[str]:
    """What of the interesting series of a Prometheus page cannot be, a reason each."""
    return _read_engine(text)[1]


def fetch(url: str) -> str:
    """The page at ``url``; raises OSError when it does not come, whole, within a few seconds."""
    try:
        with urllib.request.urlopen(url, timeout=METRICS_TIMEOUT_S) as answer:
            text: str = answer.read().decode("utf-8", "replace")
            return text
    except HTTPException as error:
        # An answer that was cut off, or is no HTTP.
        raise ConnectionError(f"{type(error).__name__}: {error}") from error


class Sampler:
    """A thread that writes samples as JSON lines until it is left.

    + path: file that the lines are appended to
    + sample: makes one sample, or None when there is nothing new; an OSError or ValueError of it
      becomes a line with ``error``
    + period_s: time between the beginnings of two samples
    + last: makes one more sample at the end, or None
    + sources: where the figures of the samples come from

    ``latest`` is the newest sample, ``cpu_s`` the processor time that all of them took, without
    that of programs that were called. Every line has ``time`` (Unix) and ``monotonic`` seconds:
    between two lines, both must have passed by the same.
    """

    def __init__(
        self,
        path: Path,
        sample: Callable[[], Mapping[str, Any] | None],
        period_s: float,
        last: Callable[[], Mapping[str, Any] | None] | None = None,
        sources: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        self._path = path
        self._sample = sample
        self._period_s = period_s
        self._last = last
        self._sources = sources
        self.latest: Mapping[str, Any] = {}
        self.cpu_s = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=path.stem, daemon=True)

    @property
    def sources(self) -> Mapping[str, Any]:
        """Where the figures came from, by name."""
        return self._sources()

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(AMD_SMI_TIMEOUT_S + METRICS_TIMEOUT_S)

    def _run(self) -> None:
        with self._path.open("a", encoding="utf-8") as stream:
            while not self._stop.is_set():
                began = time.monotonic()
                self._write(stream, self._sample)
                self._stop.wait(max(0.0, self._period_s - (time.monotonic() - began)))
            if self._last is not None:
                self._write(stream, self._last)

    def _write(self, stream: IO[str], sample: Callable[[], Mapping[str, Any] | None]) -> None:
        made = _stamped(sample)
        if made is not None:
            self.latest = made
            stream.write(json.dumps(made, sort_keys=True) + "\n")
            stream.flush()
        self.cpu_s = time.thread_time()


def engine_sampler(path: Path, url: str, period_s: float = 1.0) -> Sampler:
    """Sampler of the engine's ``/metrics``."""

    def sample() -> dict[str, Any]:
        figures, reasons = _read_engine(fetch(url))
        return {"engine": figures, **impossible(reasons)}

    return Sampler(path, sample, period_s)


def impossible(reasons: list[str]) -> dict[str, Any]:
    """The part of a sample that says what of it cannot be."""
    return {"impossible": reasons} if reasons else {}


def _read_engine(text: str) -> tuple[dict[str, float], list[str]]:
    """Figures, and reasons why others cannot be."""
    figures: dict[str, float] = {}
    reasons: dict[str, str] = {}
    names = {**_FORMER, **{series: name for name, series in ENGINE_SERIES.items()}}
    seen = set()
    for series, written, value in samples(text):
        name = names.get(series)
        if name is None:
            continue
        problem = engine_problem(series, value, name in SHARES)
        # Whatever the order of its labels.
        one = series, frozenset(labels(written).items())
        if one in seen:
            problem = f"impossible figure of the engine: {series} is there twice"
        seen.add(one)
        number = 0.0 if problem is not None else float(value)
        if problem is not None:
            reasons[name] = problem
        elif name in SHARES:
            figures[name] = max(figures.get(name, 0.0), number)
        else:
            figures[name] = figures.get(name, 0.0) + number
    return {name: figures[name] for name in figures if name not in reasons}, list(reasons.values())


def _stamped(sample: Callable[[], Mapping[str, Any] | None]) -> dict[str, Any] | None:
    wall, monotonic = _clocks()
    now = {"time": round(wall, 3), "monotonic": round(monotonic, 3)}
    try:
        made = sample()
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return {**now, "error": f"{type(error).__name__}: {error}"}
    return None if made is None else {**now, **made}


def _clocks() -> tuple[float, float]:
    """Wall and monotonic clock of the same moment, as far as a busy machine lets them be read."""
    for _ in range(5):
        before = time.monotonic()
        wall = time.time()
        after = time.monotonic()
        if after - before < 0.01:
            break
    return wall, (before + after) / 2
