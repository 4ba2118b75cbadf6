"""What a status says of a host, part by part."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from rocminfra.facts.docker import Container, DockerContainer
from rocminfra.facts.engine import EngineReadiness, EngineStatus
from rocminfra.facts.gpu_memory import GpuReport, Gpus
from rocminfra.facts.gpu_nodes import GpuNode, GpuNodes
from rocminfra.facts.running_benchmarks import RunningBenchmarks
from rocminfra.facts.weights import ModelWeights, Weights
from rocminfra.runner.output import run_text
from rocminfra.runner.run import status_parts
from rocminfra.runner.run.status_results import HostStatus, Part
from rocminfra.settings import load_settings

SETTINGS = load_settings({})
KFD = GpuNode("/dev/kfd", 992, "render", 0o660)
RENDER = GpuNode("/dev/dri/renderD128", 992, "render", 0o660)


class Host:
    """Answers facts as the test said; no SSH connector."""

    name = "gpu-1"
    connector_cls = object
    data: dict[str, Any]

    def __init__(self, facts: dict[Any, Any]) -> None:
        self.data = {}
        self.facts = facts
        self.asked: dict[Any, dict[str, Any]] = {}

    def get_fact(self, kind: Any, **arguments: Any) -> Any:
        self.asked[kind] = arguments
        return self.facts[kind]


def host(facts: dict[Any, Any]) -> Any:
    return Host(facts)


def test_a_gpu_that_is_gone_is_not_ok() -> None:
    good = status_parts.gpu(
        host({GpuNodes: (KFD, RENDER), Gpus: GpuReport(amd_smi_mib=(196_288,))}), SETTINGS
    )
    assert (good.good, good.words) == (True, "1, 192 GiB")
    gone = status_parts.gpu(host({GpuNodes: (KFD,), Gpus: GpuReport()}), SETTINGS)
    assert not gone.good
    assert "0 render nodes instead of 1" in gone.words


@pytest.mark.parametrize(
    ("found", "good", "words"),
    [
        (Weights(38, 146_800_000_000), True, "38 files, 136.7 GiB"),
        (Weights(37, 1, 2), False, "2 files are incomplete"),
        (Weights(), False, "none in /mnt/"),
    ],
)
def test_weights(found: Weights, good: bool, words: str) -> None:
    seen = host({ModelWeights: found})
    part = status_parts.weights(seen, SETTINGS)
    assert part.good is good
    assert words in part.words
    path = seen.asked[ModelWeights]["path"]
    assert path.endswith("/hub/models--Qwen--Qwen2-VL-72B-Instruct")


def test_a_benchmark_that_runs_is_said_and_is_no_fault() -> None:
    part = status_parts.benchmark(host({RunningBenchmarks: ("20260131T093000Z",)}), SETTINGS)
    assert (part.good, part.words) == (True, "20260131T093000Z runs")


def test_a_hung_engine_is_asked_with_patience_and_called_so() -> None:
    seen = host({EngineReadiness: EngineStatus("hung", "no token comes", container="c")})
    part = status_parts.engine(seen, SETTINGS)
    assert (part.good, part.words) == (False, "hung: no token comes")
    assert seen.asked[EngineReadiness]["patience_s"] < 10
    assert str(EngineReadiness().command("u", "c", 1, "m", patience_s=8)).count("PATIENCE_S=8") == 1


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(5, "5 s"), (61, "1 min"), (725, "12 min"), (7300, "2 h"), (90000, "25 h"), (200000, "2 d")],
)
def test_a_container_is_up_for_so_long(seconds: int, words: str) -> None:
    began = datetime(2026, 1, 31, 9, 30, tzinfo=timezone.utc).timestamp()
    assert status_parts._age("2026-01-31T09:30:00.123456789Z", began + seconds) == words
    started = Container("c", True, "2026-01-31T09:30:00.123456789Z", (), "sha256:1")
    part = status_parts.container(host({DockerContainer: started}), SETTINGS)
    assert "T09:30" not in part.words


def test_every_bad_part_has_a_next_step_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    command = "rocminfra apply -i hosts.py --limit gpu-1 tasks/vllm.py"
    parts = {
        "scratch": Part(True, "/dev/vdc"),
        "unit": Part(False, "vllm.service is not installed", cure=command),
        "engine": Part(False, "dead: the engine is not installed", cure=command),
    }
    run_text.print_status([HostStatus("gpu-1", parts)])
    assert capsys.readouterr().out.splitlines() == [
        "gpu-1",
        "  ok  scratch  /dev/vdc",
        "  !!  unit     vllm.service is not installed",
        f"      next: {command}",
        "  !!  engine   dead: the engine is not installed",
    ]
