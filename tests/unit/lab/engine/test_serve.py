"""The simulator as a process: how it starts, fails, and stops."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from engine_under_test import REFERENCE_FLAGS, toy_folder

ROOT = Path(__file__).parents[4]
QUICK = {"ROCMINFRA_SIM_TIME_SCALE": "100", "ROCMINFRA_SIM_LOAD_SECONDS": "0"}


def command(*flags: str, model: str | None = None) -> list[str]:
    serve = [sys.executable, "-m", "rocminfra.lab.engine", "serve"]
    return [*serve, model or str(toy_folder()), *REFERENCE_FLAGS, *flags]


def environ(**variables: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **QUICK, **variables}


def run(*flags: str, model: str | None = None, **variables: str) -> tuple[int, str, str]:
    """Exit code and output of an engine that ends by itself."""
    done = subprocess.run(
        command(*flags, model=model),
        env=environ(**variables),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@contextmanager
def serving(
    tmp_path: Path, *flags: str, **variables: str
) -> Iterator[tuple[subprocess.Popen[bytes], Path, Path]]:
    """An engine that listens on a socket of its own: its process, its socket, its log."""
    socket, log = tmp_path / "engine.sock", tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command("--uds", str(socket), *flags),
            env=environ(**variables),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + 20
        while "Application startup complete." not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.01)
        yield process, socket, log
    finally:
        process.kill()
        process.wait()


def client(socket: Path) -> httpx.Client:
    return httpx.Client(
        transport=httpx.HTTPTransport(uds=str(socket)), base_url="http://engine", timeout=20
    )


def test_it_says_while_it_loads_what_vllm_says_and_serves_over_a_socket(tmp_path: Path) -> None:
    with serving(tmp_path, VLLM_NO_SUCH="1") as (process, socket, log):
        with client(socket) as api:
            answer = api.post("/v1/completions", json={"prompt": "hello", "max_tokens": 3})
            assert answer.json()["usage"]["completion_tokens"] == 3
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
        text = log.read_text()
    for line in (
        r"WARNING \d\d-\d\d \d\d:\d\d:\d\d \[envs.py:\d+\] Unknown vLLM environment variable "
        r"detected: VLLM_NO_SUCH",
        r"Loading weights took \d+\.\d\d seconds",
        r"Model loading took 136\.73 GiB memory and \d+\.\d{6} seconds",
        r"Available KV cache memory: 32\.18 GiB",
        r"GPU KV cache size: 105,440 tokens",
        r"Maximum concurrency for 16,384 tokens per request: 6\.44x",
        r"Graph capturing finished in \d+ secs",
        r"init engine \(profile, create kv cache, warmup model\) took",
        r'"POST /v1/completions HTTP/1\.1" 200',
        r"Application shutdown complete\.",
    ):
        assert re.search(line, text), line


def test_the_statistics_line_has_vllms_form(tmp_path: Path) -> None:
    with serving(tmp_path, VLLM_LOG_STATS_INTERVAL="0.05") as (_, socket, log):
        with client(socket) as api:
            api.post("/v1/completions", json={"prompt": "a", "max_tokens": 50, "ignore_eos": True})
        pattern = (
            r"Engine 000: Avg prompt throughput: [\d.]+ tokens/s, Avg generation throughput: "
            r"[\d.]+ tokens/s, Running: \d+ reqs, Waiting: \d+ reqs, GPU KV cache usage: "
            r"[\d.]+%, Prefix cache hit rate: [\d.]+%"
        )
        deadline = time.monotonic() + 10
        while not re.search(pattern, log.read_text()):
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.01)


def test_requests_in_flight_may_end_before_the_server_does(tmp_path: Path) -> None:
    slow = {"ROCMINFRA_SIM_TIME_SCALE": "2"}
    with serving(tmp_path, "--shutdown-timeout", "20", **slow) as (process, socket, _):
        body = {"prompt": "a", "max_tokens": 20, "ignore_eos": True, "stream": True}
        with client(socket) as api, api.stream("POST", "/v1/completions", json=body) as answer:
            lines = answer.iter_lines()
            next(lines)
            process.send_signal(signal.SIGTERM)
            assert list(lines)[-2:] == ["data: [DONE]", ""]
        assert process.wait(timeout=10) == 0


def test_without_a_timeout_requests_in_flight_are_cut_off(tmp_path: Path) -> None:
    slow = {"ROCMINFRA_SIM_TIME_SCALE": "1"}
    with serving(tmp_path, **slow) as (process, socket, _):
        body = {"prompt": "a", "max_tokens": 5_000, "ignore_eos": True, "stream": True}
        with client(socket) as api, api.stream("POST", "/v1/completions", json=body) as answer:
            lines = answer.iter_lines()
            next(lines)
            process.send_signal(signal.SIGTERM)
            with pytest.raises(httpx.TransportError):
                list(lines)
        assert process.wait(timeout=10) == 0


def test_a_stop_while_it_loads_is_a_stop() -> None:
    process = subprocess.Popen(
        command(),
        env=environ(ROCMINFRA_SIM_FAIL="slow-load:600"),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if "Starting to load model" in line:
                break
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 128 + signal.SIGTERM
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("crash-at-load", "simulated failure while the weights load"),
        ("crash-loop", "simulated failure at every start"),
        ("oom-at-load", "torch.OutOfMemoryError: HIP out of memory. Tried to allocate"),
    ],
)
def test_a_load_that_fails_ends_with_the_reason(mode: str, words: str) -> None:
    code, output, _ = run(ROCMINFRA_SIM_FAIL=mode)
    assert code == 1
    assert words in output
    assert "Engine core initialization failed. See root cause above" in output.splitlines()[-1]
    assert "Application startup complete" not in output


@pytest.mark.parametrize(
    ("flags", "variables", "words"),
    [
        (
            ("--fail-on-environ-validation",),
            {"VLLM_USE_TRITON_FLASH_ATTN": "1"},
            "Unknown vLLM environment variable detected: VLLM_USE_TRITON_FLASH_ATTN",
        ),
        (("--max-model-len", "40000"), {}, "greater than the derived max_model_len"),
        (("--no-enable-chunked-prefill",), {}, "is smaller than max_model_len"),
        (("--gpu-memory-utilization", "0.5"), {}, "Engine core initialization failed"),
        ((), {"ROCMINFRA_SIM_SPEED": "1"}, "unknown variable ROCMINFRA_SIM_SPEED"),
        ((), {"ROCMINFRA_SIM_GPU": "h300"}, "known are a100-80, b200"),
    ],
    ids=["environment", "too long", "not chunked", "no memory", "variable", "gpu"],
)
def test_a_start_that_cannot_be_says_why(
    flags: tuple[str, ...], variables: dict[str, str], words: str
) -> None:
    code, output, _ = run(*flags, **variables)
    assert code == 1
    assert words in output


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    code, output, _ = run(model=str(tmp_path))
    assert code == 1
    assert f"{tmp_path} does not appear to have a file named config.json" in output
    (tmp_path / "config.json").write_text('{"max_position_embeddings": 32768}')
    code, output, _ = run(model=str(tmp_path))
    assert code == 1
    assert f"Can't load tokenizer for '{tmp_path}'" in output


def test_an_unknown_flag_ends_it_with_the_code_of_argparse() -> None:
    code, _, error = run("--no-such-flag")
    assert code == 2
    assert "vllm: error: unrecognized arguments: --no-such-flag" in error


def test_a_slow_load_ends_after_its_seconds(tmp_path: Path) -> None:
    began = time.monotonic()
    with serving(tmp_path, ROCMINFRA_SIM_FAIL="slow-load:0.3") as (_, socket, _):
        assert time.monotonic() - began >= 0.3
        with client(socket) as api:
            assert api.get("/health").status_code == 200


def test_the_variable_makes_it_hang(tmp_path: Path) -> None:
    with (
        serving(tmp_path, ROCMINFRA_SIM_FAIL="hung") as (_, socket, _),
        client(socket) as api,
    ):
        with pytest.raises(httpx.ReadTimeout):
            api.post("/v1/completions", json={"prompt": "a"}, timeout=0.1)
        assert api.get("/health").status_code == 200


def test_the_variable_makes_a_share_of_the_answers_errors(tmp_path: Path) -> None:
    with (
        serving(tmp_path, ROCMINFRA_SIM_FAIL="errors:1") as (process, socket, _),
        client(socket) as api,
    ):
        assert api.post("/v1/completions", json={"prompt": "a"}).status_code == 500
        assert process.poll() is None


def test_the_variable_makes_it_die_in_mid_run(tmp_path: Path) -> None:
    with serving(tmp_path, ROCMINFRA_SIM_FAIL="dies-mid-run:1") as (process, socket, _):
        body = {"prompt": "a", "max_tokens": 5_000, "ignore_eos": True}
        with client(socket) as api, pytest.raises(httpx.TransportError):
            api.post("/v1/completions", json=body)
        assert process.wait(timeout=10) == 1
