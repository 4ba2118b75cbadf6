"""Whether a benchmark can begin: a pure decision about a look, for every way in which it cannot."""

from __future__ import annotations

from dataclasses import replace

import pytest
from failing import next_of

from rocminfra.failure import ExitCode, Failure
from rocminfra.planning.bench_start import (
    ENVIRONMENT_BYTES,
    MIB,
    Engine,
    Home,
    Look,
    Run,
    Space,
    Wanted,
    refusal,
    results_bytes,
)

RUN = "20260513T101500Z-3fa9c1"
OTHER = "20260513T101500Z-000000"
MODEL = "Qwen/Qwen2-VL-72B-Instruct"
ROOM = Space("/", 100 * 1024 * MIB, 1_000_000)
SERVING = Engine(models={MODEL: 16384}, running=0, waiting=0, token="")
READY = Look(
    engine=SERVING,
    unit={"LoadState": "loaded", "ActiveState": "active", "SubState": "running"},
    environment="guidellm 0.8.1",
    runs_space=ROOM,
    environment_space=ROOM,
)
HOME = Home("results", free_bytes=100 * 1024 * MIB)
WANTED = Wanted(
    host="mi300x-1",
    run=RUN,
    resumes=False,
    model=MODEL,
    points=10,
    request_tokens=9216,
    environment="guidellm 0.8.1",
    results_bytes=results_bytes(10, 200, 9216),
)


def test_a_run_that_nobody_knows_is_not_resumed_and_nothing_is_installed_for_it() -> None:
    failure = refused(resumes=True)
    assert failure.kind is ExitCode.BENCHMARK
    assert failure.what == (f"there is no run {RUN} to resume, neither on the host nor in results")
    assert decide(resumes=False) is None
    assert decide(home=replace(HOME, has_run=True), resumes=True) is None
    assert decide(replace(READY, run=Run("none", 0, 0)), resumes=True) is None


@pytest.mark.parametrize(
    ("longest", "template", "fits"),
    [(9216, None, True), (9216, 19, False), (9234, 19, False), (9235, 19, True)],
)
def test_the_chat_template_counts(longest: int, template: int | None, fits: bool) -> None:
    look = engine(models={MODEL: longest}, template=template)
    assert (decide(look) is None) is fits
    if not fits:
        failure = refused(look)
        assert "has 9,235 tokens, 19 of them the chat template's" in failure.what
        assert "max_model_len=9235" in next_of(failure)


def decide(look: Look = READY, home: Home = HOME, **wanted: object) -> Failure | None:
    return refusal(look, home, replace(WANTED, **wanted))  # type: ignore[arg-type]


def refused(look: Look = READY, home: Home = HOME, **wanted: object) -> Failure:
    failure = decide(look, home, **wanted)
    assert failure is not None
    return failure


def engine(**changes: object) -> Look:
    return replace(READY, engine=replace(SERVING, **changes))  # type: ignore[arg-type]


def unit(active: str, load: str = "loaded") -> Look:
    nothing = Engine(problem="refused", detail="nothing listens on 127.0.0.1:8000")
    return replace(READY, engine=nothing, unit={"LoadState": load, "ActiveState": active})


def test_a_ready_host_may_begin() -> None:
    assert decide() is None


@pytest.mark.parametrize(
    ("look", "what", "following"),
    [
        (unit("inactive", "not-found"), "no engine is installed on this host", "deploy.py"),
        (unit("inactive"), "the engine is stopped", "deploy.py"),
        (unit("failed"), "the engine failed", "journalctl -u vllm.service"),
        (unit("activating"), "the engine is still loading", "the same command again"),
        (unit("active"), "the engine is still loading", "the same command again"),
        (
            engine(problem="timeout", models=None, token=None, detail="no answer within 5 s"),
            "the engine hangs: it accepts requests and answers none",
            "systemctl restart vllm.service",
        ),
        (
            engine(token="no token within 10 s"),
            "the engine hangs: it accepts requests and answers none",
            "systemctl restart vllm.service",
        ),
        (
            engine(problem="status", models=None, token=None, detail="HTTP 404"),
            "what answers on the engine's port is no engine",
            "ss -ltnp",
        ),
        (
            engine(models={"Qwen/Qwen2-VL-7B": 4096}, token=None),
            f"the engine serves Qwen/Qwen2-VL-7B, not {MODEL}",
            "deploy.py",
        ),
        (
            engine(running=3, waiting=1, token=None),
            "somebody else's requests keep the engine busy: 3 running, 1 waiting",
            "the same command again",
        ),
    ],
)
def test_an_engine_that_cannot_be_measured_is_not_ready(
    look: Look, what: str, following: str
) -> None:
    failure = refused(look)
    assert failure.kind is ExitCode.NOT_READY
    assert failure.what == what
    assert following in next_of(failure)


def test_a_unit_that_systemd_does_not_describe_is_no_reason_when_the_engine_serves() -> None:
    assert decide(replace(READY, unit={})) is None


def test_requests_longer_than_the_engine_takes_are_a_setting() -> None:
    failure = refused(engine(models={MODEL: 8192}))
    assert failure.kind is ExitCode.SETTINGS
    assert "9,216 tokens, and the engine takes at most 8,192" in failure.what
    assert "--data vllm.max_model_len=9216" in next_of(failure)
    assert decide(engine(models={MODEL: 9216})) is None
    assert decide(engine(models={MODEL: None})) is None
    assert decide(engine(models={MODEL: 64}), request_tokens=None) is None


def test_data_that_is_not_on_the_host_is_a_setting() -> None:
    failure = refused(replace(READY, missing_files=("/mnt/models/docvqa.parquet",)))
    assert failure.kind is ExitCode.SETTINGS
    assert failure.why == ("there is no /mnt/models/docvqa.parquet",)
    assert refused(replace(READY, empty_files=("/srv/a.jsonl",))).why == ("/srv/a.jsonl is empty",)


def test_another_benchmark_is_named_and_may_be_followed() -> None:
    failure = refused(replace(READY, busy_with=OTHER))
    assert failure.kind is ExitCode.LOCKED
    assert failure.what == f"benchmark {OTHER} runs on this host"
    assert f"bench.run={OTHER}" in next_of(failure)


def test_a_run_that_goes_on_is_followed_whatever_the_engine_does() -> None:
    assert decide(replace(unit("failed"), busy_with=RUN), resumes=True) is None


def test_a_run_that_ended_well_is_brought_back_from_a_host_without_engine() -> None:
    ended = replace(unit("inactive", "not-found"), run=Run("finished", 10, 10))
    assert decide(ended, resumes=True) is None
    assert decide(replace(ended, run=Run("finished", 10, 9)), resumes=True) is not None
    assert decide(replace(ended, run=Run("stopped", 10, 10)), resumes=True) is not None
    assert decide(ended) is not None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"runs_space": Space("/", 10 * MIB, 1000)}, "disk full on the host: / has 10.5 MB free"),
        ({"runs_space": Space("/", ROOM.bytes, 3)}, "/ takes 3 more files"),
        ({"runs_space": replace(ROOM, read_only=True)}, "can only be read"),
        (
            {"environment": None, "environment_space": Space("/opt", ENVIRONMENT_BYTES - 1)},
            "and GuideLLM may take 3.2 GB",
        ),
    ],
)
def test_a_host_without_room_is_unfit(change: dict[str, object], words: str) -> None:
    failure = refused(replace(READY, **change))  # type: ignore[arg-type]
    assert failure.kind is ExitCode.UNFIT
    assert words in failure.what


def test_an_environment_that_is_there_needs_no_room() -> None:
    assert decide(replace(READY, environment_space=Space("/opt", 0))) is None


def test_a_results_folder_that_cannot_be_written_comes_first() -> None:
    failure = refused(unit("failed"), Home("/mnt/nas", "/mnt/nas: Read-only file system"))
    assert failure.kind is ExitCode.SETTINGS
    assert failure.what == "results cannot be written to /mnt/nas"
    assert failure.why == ("/mnt/nas: Read-only file system",)
    assert "--data bench.results_dir=FOLDER" in next_of(failure)


def test_a_full_disk_at_home_says_here() -> None:
    failure = refused(home=Home("results", free_bytes=100 * MIB))
    assert failure.kind is ExitCode.SETTINGS
    assert failure.what.startswith("disk full here: results has 104.9 MB free")
    assert decide(home=Home("results", free_bytes=None)) is None


def test_a_host_that_gives_no_document_is_unexpected() -> None:
    failure = refused(Look(problem="python3: not found"))
    assert failure.kind is ExitCode.UNEXPECTED
    assert failure.why == ("python3: not found",)


def test_a_report_of_the_reference_takes_about_what_it_took() -> None:
    # Ten reports of 200 records with 9,216 tokens were 100 MB.
    assert 100e6 < results_bytes(10, 200, 9216) < 200e6
    assert results_bytes(1, 20, None) > results_bytes(1, 20, 9216)
