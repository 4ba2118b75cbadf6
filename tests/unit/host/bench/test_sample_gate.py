"""What was sampled beside a point: whether it can be, and files that were cut off."""

from __future__ import annotations

import json
from pathlib import Path

from rocminfra.host.bench.files import read_lines
from rocminfra.host.bench.point import peaks
from rocminfra.host.bench.sample_gate import impossible_samples


def test_what_was_sampled_beside_a_point_is_judged_too(tmp_path: Path) -> None:
    assert impossible_samples(tmp_path) == ()
    samples = [{"gpus": [], "impossible": ["impossible figure of GPU 0: power_w is -3"]}]
    lines = "".join(json.dumps(sample) + "\n" for sample in [*samples * 2, {"error": "refused"}])
    (tmp_path / "telemetry.jsonl").write_text(lines)
    (tmp_path / "metrics_after.prom").write_text("vllm:kv_cache_usage_perc 1.39\n")
    usage, power = impossible_samples(tmp_path)
    assert usage.endswith("vllm:kv_cache_usage_perc is 1.39, above 1")
    assert power.endswith("power_w is -3 (in 2 samples)")


def test_a_line_of_samples_that_was_cut_off_is_a_reason_and_no_traceback(tmp_path: Path) -> None:
    whole = json.dumps({"time": 1.0, "monotonic": 1.0, "engine": {"running": 3.0}})
    odd = ['{"time": 2.0, "mono', "[1]", "null", '{"time": "late"}', "[" * 100_000]
    (tmp_path / "metrics.jsonl").write_text("\n".join([whole, *odd, whole]), encoding="utf-8")
    (reason,) = impossible_samples(tmp_path)
    assert reason == "metrics.jsonl has 5 lines that cannot be read: something cut it off"
    assert peaks(tmp_path / "metrics.jsonl") == {"running": 3.0}
    assert read_lines(tmp_path / "missing.jsonl") == ([], 0)
