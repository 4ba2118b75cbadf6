"""What ran on what: the box, the floor of the inter-token latency, the commands."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import recorded_runs

from rocminfra.planning.bench.job_record import JobRecord
from rocminfra.planning.bench.outcome_records import RunRecord
from rocminfra.report.figures import provenance
from rocminfra.report.figures.report import make_report
from rocminfra.report.reading.folder import read_hosts


@pytest.fixture(scope="module")
def recorded() -> tuple[JobRecord, RunRecord]:
    (host,) = read_hosts(recorded_runs.DEMO)
    assert host.job is not None
    assert host.run is not None
    return host.job, host.run


def on(run: RunRecord, *names: str) -> RunRecord:
    gpus = tuple({"name": name, "driver": "6.16"} for name in names)
    return dataclasses.replace(run, provenance=dataclasses.replace(run.provenance, gpus=gpus))


def test_the_floor_by_hand(recorded: tuple[JobRecord, RunRecord]) -> None:
    job, run = recorded
    step = dataclasses.replace(job, step_bytes=146.81e9, gpu_bandwidths=None)
    found, how = provenance.itl_floor(step, on(run, "AMD Instinct MI300X VF"))
    # 146.81 GB at 5.3 TB/s.
    assert found == pytest.approx(0.0277, abs=1e-4)
    assert how == "146.81 GB of weights that a step reads, at 1 x 5.3 TB/s as published"
    two, _ = provenance.itl_floor(step, on(run, *["AMD Instinct MI300X"] * 2))
    assert found is not None
    assert two == pytest.approx(found / 2)
    # Without a recorded number it is the reference model's, of which the whole weights are known.
    plain, _ = provenance.itl_floor(job, on(run, "AMD Instinct MI300X"))
    assert plain == pytest.approx(found, rel=0.01)


@pytest.mark.parametrize(
    ("names", "why"),
    [
        ((), "the GPU is not known"),
        (("MI300X simulated ×20",), "the memory bandwidth of 1 x MI300X simulated ×20 is not"),
        (("AMD Instinct MI300X", "AMD Instinct MI325X"), "is not published"),
    ],
)
def test_no_floor_where_it_is_not_known(
    recorded: tuple[JobRecord, RunRecord], names: tuple[str, ...], why: str
) -> None:
    found, how = provenance.itl_floor(recorded[0], on(recorded[1], *names))
    assert found is None
    assert why in how
    other = dataclasses.replace(recorded[0], model="somebody/else", step_bytes=None)
    found, how = provenance.itl_floor(other, on(recorded[1], "AMD Instinct MI300X"))
    assert found is None
    assert how == "the weights of somebody/else are not known"


def test_the_box_names_what_decides_and_no_secret(recorded: tuple[JobRecord, RunRecord]) -> None:
    job, run = recorded
    point = dataclasses.replace(
        run.points[0],
        engine={**run.points[0].engine, "configuration": {"cache_dtype": "fp8", "x": "y"}},
    )
    secret = dataclasses.replace(job, target="http://user:hunter2@203.0.113.7:8000/v1?key=abc")
    box = {
        item.name: item.value
        for item in provenance.box(secret, dataclasses.replace(run, points=(point,)))
    }
    assert box["GPU"] == "1 x MI300X simulated ×20"
    assert box["Engine"] == "vLLM 0.20.1+sim"
    assert box["KV cache dtype"] == "fp8"
    assert box["Asked at"] == "http://203.0.113.7:8000/v1"
    assert box["Price"] == "$1.99 an hour"
    assert "hunter2" not in str(box)
    assert provenance.box(None, None) == ()


def test_commands_are_quoted(recorded: tuple[JobRecord, RunRecord]) -> None:
    job = recorded[0]
    scenario = dataclasses.replace(job.scenario, name="my sweep; rm -rf /")
    (first, *_) = provenance.repeat(dataclasses.replace(job, scenario=scenario))
    assert first == "rocminfra bench --scenario 'my sweep; rm -rf /' --limit demo"


def test_the_load_generator_beside_the_engine_or_not(
    recorded: tuple[JobRecord, RunRecord],
) -> None:
    job = recorded[0]
    assert provenance.is_beside(job)
    assert not provenance.is_beside(dataclasses.replace(job, target="http://203.0.113.7:8000/v1"))
    assert not provenance.is_beside(None)


def test_a_run_on_a_known_gpu_is_predicted(tmp_path: Any) -> None:
    """The recorded figures are the simulator's; what is predicted is the GPU that it names here."""
    run = recorded_runs.copy("failing", tmp_path / "run")
    recorded_runs.edit(
        recorded_runs.host_of(run) / "run.json",
        lambda value: value["provenance"].update(gpus=[{"name": "AMD Instinct MI300X"}]),
    )
    report = make_report(run)
    assert report.hosts[0].prediction_note == "predicted for the flags of the reference run"
    assert report.hosts[0].itl_floor_s is not None
    # An invalid point is not predicted: there is nothing to set beside it.
    assert [point.predicted for point in report.hosts[0].points] == [None] * 5
    valid = recorded_runs.copy("demo", tmp_path / "valid")
    host = recorded_runs.host_of(valid)
    recorded_runs.edit(
        host / "run.json",
        lambda value: value["provenance"].update(gpus=[{"name": "AMD Instinct MI300X"}]),
    )
    recorded_runs.vouch(valid)
    found = make_report(valid).hosts[0].point("02-sweep-synchronous")
    assert found is not None
    assert found.predicted is not None
    assert found.predicted.itl_median_s == pytest.approx(0.0396, rel=0.05)
