"""What engine and GPU do while a benchmark point runs: one JSON line a sample.

The GPUs' figures are in :mod:`rocminfra.host.bench.gpu_telemetry`; here is what ``amd-smi`` says.

Standard library only: this file is copied to the host as it is.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from rocminfra.planning.bench.possible import engine_problem, gpu_problems
from rocminfra.planning.gpus.gpu_selection import engine_rows, parse_environment

# Newer ROCm is found here and not on PATH; an older one may be in both.
AMD_SMI = "/opt/rocm/bin/amd-smi"
ENGINE_ENVIRONMENT = Path("/etc/rocminfra/vllm.env")
# A wedged driver hangs amd-smi for good.
AMD_SMI_TIMEOUT_S = 10.0
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
# Parts of a whole, of which each data-parallel engine has its own: the fullest one's counts, for
# requests wait as soon as one engine is full.
SHARES = {"kv_cache_usage"}

_GPU_LEAVES = {
    "gfx_activity_percent": ("usage", "gfx_activity"),
    "umc_activity_percent": ("usage", "umc_activity"),
    "power_w": ("power", "socket_power"),
    "vram_used_mib": ("mem_usage", "used_vram"),
    "vram_total_mib": ("mem_usage", "total_vram"),
    "temperature_hotspot_c": ("temperature", "hotspot"),
    "temperature_mem_c": ("temperature", "mem"),
    "energy_j": ("energy", "total_energy_consumption"),
}


def engine_sample(text: str) -> dict[str, float]:
    """The interesting series of a Prometheus page: summed over engines and other labels, and of
    shares the highest.

    + text: the page; a series that is not in it, or that cannot be, is not in the answer
    """
    return _read_engine(text)[0]


def engine_reasons(text: str) -> list[str]:
    """What of the interesting series of a Prometheus page cannot be, a reason each."""
    return _read_engine(text)[1]


def gpu_samples(text: str) -> list[dict[str, Any]]:
    """Figures of each GPU from ``amd-smi metric --json``.

    + text: what it printed: a bare list (ROCm 6) or ``{"gpu_data": […]}`` (ROCm 7 and later);
      each leaf a ``{"value", "unit"}`` object or the text ``N/A``, which becomes None, never 0

    Raises ValueError when it is something else; ``amd-smi`` exits 0 after "Invalid platform".
    """
    return [
        {"gpu": row.get("gpu"), **{key: _leaf(row, path) for key, path in _GPU_LEAVES.items()}}
        for row in _gpu_rows(text)
    ]


def gpu_models() -> list[dict[str, Any]]:
    """What the engine's GPUs say they are: name and driver; empty where nobody can say."""
    try:
        rows = _gpu_rows(_amd_smi("static"))
    except (OSError, ValueError, subprocess.SubprocessError):
        return []
    models = [
        {
            "name": _text(row, ("asic", "market_name")),
            "driver": _text(row, ("driver", "version")),
            "memory": _leaf(row, ("vram", "size")),
        }
        for row in rows
    ]
    return [{"name": row["name"], "driver": row["driver"]} for row in _of_engine(models, "memory")]


def fetch(url: str) -> str:
    """The page at ``url``; raises OSError when it does not come within a few seconds."""
    with urllib.request.urlopen(url, timeout=METRICS_TIMEOUT_S) as answer:
        text: str = answer.read().decode("utf-8", "replace")
        return text


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


def gpus_of_engine() -> list[dict[str, Any]]:
    """Figures of the engine's GPUs from one call of ``amd-smi metric``.

    Raises OSError, ValueError or ``subprocess.SubprocessError`` when it has none.
    """
    return _of_engine(gpu_samples(_amd_smi("metric")), "vram_total_mib")


def engine_environment() -> dict[str, str]:
    """The engine's environment, which may hide GPUs from it; empty when it cannot be read."""
    try:
        return parse_environment(ENGINE_ENVIRONMENT.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return {}


def impossible(reasons: list[str]) -> dict[str, Any]:
    """The part of a sample that says what of it cannot be."""
    return {"impossible": reasons} if reasons else {}


def possible(gpu: Mapping[str, Any]) -> dict[str, Any]:
    """The figures that can be: JSON has no NaN."""
    return {
        name: None if gpu_problems({"gpu": None, name: value}) else value
        for name, value in gpu.items()
    }


def _read_engine(text: str) -> tuple[dict[str, float], list[str]]:
    """Figures, and reasons why others cannot be."""
    figures: dict[str, float] = {}
    reasons: dict[str, str] = {}
    names = {series: name for name, series in ENGINE_SERIES.items()}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        series, _, rest = line.partition("{")
        if not rest:
            series, _, value = line.partition(" ")
        else:
            value = rest.rpartition("}")[2]
        name = names.get(series)
        if name is None:
            continue
        try:
            number = float(value.split()[0])
        except (ValueError, IndexError):
            continue
        problem = engine_problem(series, number, name in SHARES)
        if problem is not None:
            reasons[name] = problem
        elif name in SHARES:
            figures[name] = max(figures.get(name, 0.0), number)
        else:
            figures[name] = figures.get(name, 0.0) + number
    return {name: figures[name] for name in figures if name not in reasons}, list(reasons.values())


def _of_engine(rows: list[dict[str, Any]], memory: str) -> list[dict[str, Any]]:
    """Rows of the GPUs that the engine may use; all of them where amd-smi says no memory.

    + memory: key of their memory in MiB
    """
    totals = [row[memory] for row in rows]
    if all(total is None for total in totals):
        return rows
    return [rows[row] for row, _ in engine_rows(totals, engine_environment())]


def _stamped(sample: Callable[[], Mapping[str, Any] | None]) -> dict[str, Any] | None:
    now = {"time": round(time.time(), 3), "monotonic": round(time.monotonic(), 3)}
    try:
        made = sample()
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return {**now, "error": f"{type(error).__name__}: {error}"}
    return None if made is None else {**now, **made}


def _amd_smi(command: str) -> str:
    program = AMD_SMI if Path(AMD_SMI).exists() else shutil.which("amd-smi")
    if program is None:
        raise FileNotFoundError("no amd-smi on this host")
    done = subprocess.run(
        [program, command, "--json"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=AMD_SMI_TIMEOUT_S,
        check=True,
        text=True,
    )
    return done.stdout


def _gpu_rows(text: str) -> list[dict[str, Any]]:
    parsed = json.loads(text)
    rows = parsed.get("gpu_data") if isinstance(parsed, dict) else parsed
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("amd-smi printed no list of GPUs")
    return rows


def _text(row: Mapping[str, Any], path: tuple[str, str]) -> str | None:
    part = row.get(path[0])
    value = part.get(path[1]) if isinstance(part, Mapping) else None
    return value if isinstance(value, str) and value != "N/A" else None


def _leaf(row: Mapping[str, Any], path: tuple[str, str]) -> float | None:
    part = row.get(path[0])
    value = part.get(path[1]) if isinstance(part, Mapping) else None
    if isinstance(value, Mapping):
        value = value.get("value")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value)
