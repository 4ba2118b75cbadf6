"""The look before a benchmark, on this machine: engines that serve, hang, or are something else."""

from __future__ import annotations

import fcntl
import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from bench_fakes import MODEL, RUN, FakeEngine

from rocminfra.facts.bench_look import BenchLook
from rocminfra.host.programs import source
from rocminfra.host.sent import bench_look
from rocminfra.planning.bench_start import Look, Run


def look(tmp_path: Path, port: int, **changes: Any) -> Look:
    fact = BenchLook()
    arguments = {
        "runs": str(tmp_path / "runs"),
        "run": RUN,
        "environment": str(tmp_path / "guidellm"),
        "address": "127.0.0.1",
        "port": port,
        "model": MODEL,
        "unit": "no-such-unit.service",
        "asked_at": 1.0,
        **changes,
    }
    done = subprocess.run(
        ["sh", "-c", str(fact.command(**arguments))], capture_output=True, text=True, check=True
    )
    seen: Look = fact.process(done.stdout.splitlines())
    assert seen.problem == "", done.stderr
    return seen


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    with FakeEngine().serving() as serving:
        yield serving


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_look, "PAUSE_S", 0.0)


def test_the_program_fits_into_a_command() -> None:
    assert "'" not in source("bench_look")


def test_an_idle_engine_gives_its_models_and_one_token(tmp_path: Path, engine: FakeEngine) -> None:
    seen = look(tmp_path, engine.port)
    assert seen.engine.problem is None
    assert seen.engine.models == {MODEL: 4096}
    assert (seen.engine.running, seen.engine.waiting) == (0, 0)
    assert seen.engine.token == ""
    assert engine.completions == 1
    assert seen.engine.template == 19
    assert (seen.busy_with, seen.run, seen.environment) == (None, None, None)
    assert seen.runs_space is not None
    assert seen.runs_space.bytes > 0


def test_a_busy_engine_is_asked_for_no_token(tmp_path: Path, engine: FakeEngine) -> None:
    engine.running = 2
    seen = look(tmp_path, engine.port)
    assert seen.engine.running == 2
    assert seen.engine.token is None
    assert engine.completions == 0


def test_another_model_is_asked_for_nothing(tmp_path: Path, engine: FakeEngine) -> None:
    seen = look(tmp_path, engine.port, model="another")
    assert seen.engine.models == {MODEL: 4096}
    assert engine.completions == 0


def test_a_request_that_ends_between_two_looks_is_no_load(
    monkeypatch: pytest.MonkeyPatch, engine: FakeEngine
) -> None:
    loads = iter(([1.0, 0.0], [0.0, 0.0]))
    monkeypatch.setattr(bench_look, "load", lambda *_: next(loads))
    assert bench_look.look_at_engine("127.0.0.1", engine.port, MODEL, False)["token"] == ""


def test_a_port_that_nobody_listens_on(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert look(tmp_path, port).engine.problem == "refused"


def test_a_server_that_accepts_and_says_nothing_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_look, "MODELS_TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        seen = bench_look.look_at_engine("127.0.0.1", silent.getsockname()[1], MODEL, False)
    assert seen["problem"] == "timeout"


def test_a_server_that_drips_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_look, "MODELS_TIMEOUT_S", 0.5)
    stop = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not stop.wait(0.05):
            try:
                handler.wfile.write(b" ")
            except OSError:
                return

    with served(drip) as port:
        seen = bench_look.look_at_engine("127.0.0.1", port, MODEL, False)
        stop.set()
    assert seen["problem"] == "timeout"


def test_another_web_server_is_no_engine() -> None:
    def greet(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(b"<html>Welcome</html>")

    with served(greet) as port:
        seen = bench_look.look_at_engine("127.0.0.1", port, MODEL, False)
    assert (seen["problem"], seen["models"]) == ("other", None)


def test_a_core_that_is_dead_behind_a_server_that_answers(
    monkeypatch: pytest.MonkeyPatch, engine: FakeEngine
) -> None:
    engine.completes = False
    seen = bench_look.look_at_engine("127.0.0.1", engine.port, MODEL, False)
    assert seen["token"].startswith("HTTP 500")


def test_a_model_without_a_chat_template_is_asked_for_a_completion(engine: FakeEngine) -> None:
    engine.chats = False
    seen = bench_look.look_at_engine("127.0.0.1", engine.port, MODEL, False)
    assert (seen["token"], seen["template"], engine.completions) == ("", None, 2)


def test_the_host_is_known_by_what_is_on_it(tmp_path: Path, engine: FakeEngine) -> None:
    run = tmp_path / "runs" / RUN
    run.mkdir(parents=True)
    (run / "job.json").write_text("{}")
    assert look(tmp_path, engine.port).run == Run("none", 0, 0), "died before its first status"
    engine.completions = 0
    points = [{"outcome": "valid"}, {"outcome": "failed"}]
    (run / "status.json").write_text(
        json.dumps({"state": "finished", "planned": 3, "points": points})
    )
    (tmp_path / "guidellm").mkdir()
    (tmp_path / "guidellm" / ".complete").write_text("guidellm 0.8.1\n")
    here, gone = str(tmp_path), str(tmp_path / "none.parquet")
    (tmp_path / "none.jsonl").touch()
    (tmp_path / "pages").mkdir()
    empty = (str(tmp_path / "none.jsonl"), str(tmp_path / "pages"))
    with (tmp_path / "runs" / "lock").open("w") as lock:
        lock.write("20260513T111111Z")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        seen = look(tmp_path, engine.port, files=[here, gone, *empty])
    assert seen.busy_with == "20260513T111111Z"
    assert seen.run == Run("finished", 3, 1)
    assert seen.environment == "guidellm 0.8.1"
    assert seen.missing_files == (gone,)
    assert seen.empty_files == empty
    assert engine.completions == 0, "a benchmark measures: nothing may disturb it"


@contextmanager
def served(answer: Any) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
