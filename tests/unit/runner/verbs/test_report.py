"""`rocminfra report`: build, compare, gate, index, on runs that the real GuideLLM made."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import recorded_runs
import report_schemas
from recorded_runs import RUNS, edit, host_of, vouch
from schema_check import SCHEMAS, violations

from rocminfra.runner.cli import run

Asked = Callable[..., tuple[int, str, str]]


@pytest.fixture
def asked(capsys: pytest.CaptureFixture[str]) -> Asked:
    """Run a verb; pictures take seconds, so they are drawn in the tests that are about them."""

    def ask(*arguments: object, pictures: bool = False) -> tuple[int, str, str]:
        words = [*map(str, arguments)]
        if not pictures and words[0] not in ("build", "compare", "gate", "index"):
            words.append("--no-pictures")
        code = run(["report", *words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return ask


def as_document(asked: Asked, schema: str, *arguments: object) -> dict[str, Any]:
    code, out, _ = asked(*arguments, "--json")
    document: dict[str, Any] = json.loads(out)
    assert violations(document, schema) == []
    assert document["code"] == code
    return document


def test_the_schemas_are_those_of_the_types() -> None:
    for name, schema in report_schemas.schemas().items():
        published = (SCHEMAS / f"{name}.json").read_text(encoding="utf-8")
        assert published == report_schemas.text(schema), "python tests/report_schemas.py"


def test_the_verdict_comes_last_and_the_files_are_there(asked: Asked, tmp_path: Path) -> None:
    run = recorded_runs.copy("demo", tmp_path / "20261128T222237Z")
    code, out, _ = asked(run)
    assert code == 0
    assert out.splitlines()[-1] == (
        "serves up to 107 requests/s with TTFT p95 under 2 s; $0.0284 a million tokens at "
        "saturation; valid: 5 of 5 points"
    )
    summary = json.loads((run / "report" / "summary.json").read_text())
    assert violations(summary, "summary") == []
    assert summary["hosts"][0]["saturation"] == "02-sweep-throughput"
    rows = list(csv.DictReader((run / "report" / "points.csv").open()))
    assert [row["load"] for row in rows][:2] == ["concurrent@4", "synchronous"]
    assert "serves up to 107 requests/s" in (run / "report" / "report.md").read_text()


def test_last_is_the_newest_run_of_this_folder(
    asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = asked("last")
    assert (code, "there is no run last in results" in err) == (3, True)
    (tmp_path / "results" / "20261127T100000Z").mkdir(parents=True)
    recorded_runs.copy("demo", tmp_path / "results" / "20261128T222237Z")
    code, out, _ = asked("last")
    assert (code, "valid: 5 of 5 points" in out) == (0, True)
    assert (tmp_path / "results" / "20261128T222237Z" / "report" / "summary.json").exists()


def test_the_page_and_its_pictures(asked: Asked, tmp_path: Path) -> None:
    code, out, _ = asked(RUNS / "demo", "--output", tmp_path, pictures=True)
    assert code == 0
    assert f"report: {tmp_path / 'report.html'}" in out
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "serves up to 107 requests/s" in page
    shown = re.findall(r"!\[.+\]\((.+)\)", (tmp_path / "report.md").read_text())
    assert len(shown) > 3
    assert all(name.endswith(".svg") and (tmp_path / name).is_file() for name in shown)
    assert sum(file.stat().st_size for file in tmp_path.glob("report.html")) < 3 * 1024**2


def test_without_the_packages_that_draw_the_rest_is_written(
    asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("altair", "vl_convert"):
        monkeypatch.setitem(sys.modules, name, None)
    code, out, said = asked(RUNS / "demo", "--output", tmp_path, pictures=True)
    assert code == 3
    assert "rocminfra[report]" in said
    assert out.splitlines()[-1].startswith("serves up to 107 requests/s")
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "points.csv",
        "report.md",
        "summary.json",
    ]


def test_of_a_bad_run_the_first_line_says_invalid_and_there_is_no_price(
    asked: Asked, tmp_path: Path
) -> None:
    code, out, _ = asked(RUNS / "failing", "--output", tmp_path)
    assert code == 8
    verdict = out.splitlines()[-1]
    assert verdict == (
        "INVALID: no point is valid; concurrent@4: 56 of 112 finished requests failed "
        "(50.0%, at most 0.0% allowed)"
    )
    text = (tmp_path / "report.md").read_text()
    assert text.splitlines()[2].startswith("**INVALID")
    assert "Knee" not in text
    assert "cost $" not in text
    assert "at saturation" not in out
    summary = json.loads((tmp_path / "summary.json").read_text())
    (host,) = summary["hosts"]
    assert [host[key] for key in ("knee", "saturation", "slo", "economics")] == [None] * 4
    assert {point["cost"] is None for point in host["points"]} == {True}


def test_build_as_json(asked: Asked, tmp_path: Path) -> None:
    document = as_document(asked, "report", RUNS / "demo", "--output", tmp_path)
    assert document["report"]["is_valid"]
    assert document["code"] == 0
    failed = as_document(asked, "report", tmp_path / "nowhere")
    assert failed["error"]["next_command"] == "rocminfra bench"
    assert failed["code"] == 3
    assert as_document(asked, "report", RUNS / "failing", "--output", tmp_path)["code"] == 8


def test_objectives_of_the_reader(asked: Asked, tmp_path: Path) -> None:
    limits = ("--slo", "ttft_p95=100ms,itl_p95=25ms", "--output", tmp_path)
    code, out, _ = asked(RUNS / "a", *limits)
    assert code == 0
    assert out.splitlines()[-1].startswith(
        "serves up to 7.35 requests/s with TTFT p95 under 100 ms and ITL p95 under 25 ms "
        "(though concurrent@4 missed it at less); $0.14"
    )
    code, _, said = asked(RUNS / "a", "--slo", "ttft=2s")
    assert code == 3
    assert "'ttft=2s' is no objective" in said
    code, _, said = asked(RUNS / "a", "--slo", "ttft_p95=2s,ttft_p95=3s")
    assert code == 3
    assert "ttft_p95 is given twice" in said


def test_a_host_of_a_run_has_its_report_outside_its_own_manifest(
    asked: Asked, tmp_path: Path
) -> None:
    run = recorded_runs.copy("demo", tmp_path / "run")
    assert asked(run / "demo")[0] == 0
    assert (run / "report" / "demo" / "summary.json").is_file()
    assert not (run / "demo" / "report").exists()


def test_a_report_that_cannot_be_written(asked: Asked, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, said = asked(RUNS / "demo", "--output", tmp_path / "file" / "below")
    assert code == 3
    assert "the report cannot be written" in said
    assert "next: --output FOLDER" in said


def test_a_file_that_cannot_be_replaced_leaves_nothing_half_written(
    asked: Asked, tmp_path: Path
) -> None:
    (tmp_path / "summary.json").mkdir()
    code, _, said = asked(RUNS / "demo", "--output", tmp_path)
    assert code == 3
    assert "the report cannot be written" in said
    assert [file.name for file in tmp_path.iterdir()] == ["summary.json"]


def test_two_runs_of_the_same_are_within_noise(asked: Asked) -> None:
    code, out, _ = asked("compare", RUNS / "a", RUNS / "b")
    assert code == 0
    assert out.splitlines()[-2] == "within noise: all 30 figures at 5 loads"
    document = as_document(asked, "report-compare", "compare", RUNS / "b", RUNS / "a")
    (comparison,) = document["comparisons"]
    verdicts = {change["verdict"] for point in comparison["points"] for change in point["changes"]}
    assert verdicts == {"within noise"}


@pytest.mark.parametrize("first", ["a", "b"])
def test_an_engine_that_is_ten_percent_slower_is_worse(asked: Asked, first: str) -> None:
    document = as_document(asked, "report-compare", "compare", RUNS / first, RUNS / "slow")
    (comparison,) = document["comparisons"]
    found = {
        point["label"]: change
        for point in comparison["points"]
        for change in point["changes"]
        if change["name"] == "itl_median_s"
    }
    # Under the throughput point the two runs batched differently, which is noise.
    assert found.pop("throughput")["verdict"] in ("worse", "within noise")
    assert {change["verdict"] for change in found.values()} == {"worse"}
    assert found["synchronous"]["change"] == pytest.approx(0.1, abs=0.01)
    assert comparison["verdict"].split(",")[0].endswith(" worse")
    assert comparison["differences"] == []


def test_what_is_not_comparable_is_refused_unless_told(asked: Asked) -> None:
    code, out, said = asked("compare", RUNS / "a", RUNS / "demo")
    assert (code, out) == (3, "")
    assert "Requests is not the same" in said
    assert "add --anyway" in said
    code, out, _ = asked("compare", RUNS / "a", RUNS / "demo", "--anyway")
    assert code == 0
    lines = out.splitlines()
    assert lines[1].startswith("not comparable: Requests is not the same")
    # What was configured differently comes before the figures.
    differs = lines.index("differs: GPU: 1 x MI300X simulated ×2 -> 1 x MI300X simulated ×20")
    assert differs < lines.index("concurrent@4")
    code, _, said = asked("compare", RUNS / "a", RUNS / "failing")
    assert code == 3
    assert "is not valid: INVALID: no point is valid" in said


def test_several_runs_are_compared_with_the_first(asked: Asked) -> None:
    document = as_document(
        asked, "report-compare", "compare", RUNS / "a", RUNS / "b", RUNS / "slow"
    )
    first, second = document["comparisons"]
    assert first["before"] == second["before"]
    assert first["verdict"].startswith("within noise")
    assert "worse" in second["verdict"]


def test_one_run_alone_and_an_unknown_reference(asked: Asked) -> None:
    code, _, said = asked("compare", RUNS / "a")
    assert code == 3
    assert "one run alone cannot be compared" in said
    code, _, said = asked("compare", RUNS / "a", "--reference", "nobody")
    assert code == 3
    assert "next: --reference mi300x-qwen2-vl-72b-2026-05-13" in said
    document = as_document(
        asked,
        "report-compare",
        "compare",
        RUNS / "a",
        "--reference",
        "mi300x-qwen2-vl-72b-2026-05-13",
    )
    assert document["error"]["what"].endswith("has no scenario rec")


def test_a_run_of_the_published_scenario_is_compared_with_it(asked: Asked, tmp_path: Path) -> None:
    run = recorded_runs.copy("a", tmp_path / "run")
    edit(host_of(run) / "job.json", lambda job: job["scenario"].update(name="synthetic_sweep"))
    code, out, _ = asked("compare", run, "--reference", "mi300x-qwen2-vl-72b-2026-05-13")
    assert code == 0
    assert "differs: GPU: 1 x AMD Instinct MI300X -> 1 x MI300X simulated ×2" in out
    # 39.6 ms were published; the simulator at twice the speed has half of it.
    assert (
        "39.6 ms  19.4 ms  -50.9%" in " ".join(out.split()).replace(" ", "  ") or "39.6 ms" in out
    )
    assert out.splitlines()[-2].endswith("better, of 2 figures at 2 loads")


class TestGate:
    @pytest.fixture
    def baseline(self, asked: Asked, tmp_path: Path) -> Path:
        path = tmp_path / "baselines" / "lab.json"
        code, _, said = asked("gate", RUNS / "a", "--baseline", path, "--update")
        assert code == 0
        assert "are the baseline now" in said
        return path

    def test_the_same_again_passes(self, asked: Asked, baseline: Path) -> None:
        before = baseline.read_bytes()
        document = as_document(asked, "report-gate", "gate", RUNS / "b", "--baseline", baseline)
        assert (document["outcome"], document["code"]) == ("passed", 0)
        assert len(document["checks"]) == 30
        assert baseline.read_bytes() == before

    def test_a_regression_ends_with_8_and_a_reason_a_figure(
        self, asked: Asked, baseline: Path, tmp_path: Path
    ) -> None:
        junit = tmp_path / "gate.xml"
        code, out, said = asked("gate", RUNS / "slow", "--baseline", baseline, "--junit", junit)
        assert code == 8
        assert "figures: synchronous: ITL median: 0.02139 s instead of 0.01943: +10.1%" in out
        assert "of 30 figures are worse" in said
        failures = ElementTree.parse(junit).getroot().findall(".//failure")
        assert len(failures) == len(out.splitlines())
        assert all("beyond the noise of" in (one.text or "") for one in failures)

    def test_a_missing_figure_fails(self, asked: Asked, baseline: Path, tmp_path: Path) -> None:
        run = recorded_runs.copy("b", tmp_path / "run")
        point = host_of(run) / "02-sweep-throughput"
        edit(
            point / "report.json",
            lambda report: report["benchmarks"][0]["metrics"]["inter_token_latency_ms"].update(
                successful={"count": 0, "median": 0.0, "percentiles": {}}
            ),
        )
        edit(
            host_of(run) / "01-concurrent-4" / "point.json",
            lambda one: one.update(outcome="failed"),
        )
        vouch(run)
        code, out, _ = asked("gate", run, "--baseline", baseline)
        assert code == 8
        assert "throughput: ITL median: missing: the baseline has 0.02034 s, the run none" in out
        assert "concurrent@4: missing: failed" in out

    def test_an_invalid_run_fails_and_is_no_baseline(self, asked: Asked, baseline: Path) -> None:
        before = baseline.read_bytes()
        code, out, _ = asked("gate", RUNS / "failing", "--baseline", baseline)
        assert code == 8
        assert "is not valid: INVALID" in out
        code, _, said = asked("gate", RUNS / "failing", "--baseline", baseline, "--update")
        assert code == 8
        assert "is no baseline" in said
        assert baseline.read_bytes() == before

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            (None, "there is no such file"),
            ("{", "Expecting"),
            ("[]", "it is no baseline of version 1"),
            ('{"schema": 2}', "it is no baseline of version 1"),
            ('{"schema": 1, "hosts": []}', "it holds no figures"),
            ('{"schema": 1, "hosts": [{}]}', "hosts.0.name"),
            ('{"schema": 1, "hosts": NaN}', "NaN is no number"),
        ],
    )
    def test_a_baseline_that_is_none(
        self, asked: Asked, tmp_path: Path, text: str | None, why: str
    ) -> None:
        path = tmp_path / "baseline.json"
        if text is not None:
            path.write_text(text)
        code, _, said = asked("gate", RUNS / "a", "--baseline", path)
        assert code == 3
        assert why in said
        assert f"rocminfra report gate RUN --baseline {path} --update" in said
        assert path.exists() == (text is not None)


def test_the_index_has_every_run_and_says_what_it_leaves_out(asked: Asked, tmp_path: Path) -> None:
    for name in ("a", "failing"):
        recorded_runs.copy(name, tmp_path / name)
    (tmp_path / "droplet-1").mkdir()
    assert asked(tmp_path / "a", pictures=True)[0] == 0
    code, out, said = asked("index", tmp_path)
    assert code == 0
    assert len(out.splitlines()) == 4
    assert out.splitlines()[-1] == f"index: {tmp_path / 'index.html'}"
    assert "left out: droplet-1" in said
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert 'href="./a/report/report.html"' in page
    assert page.count("(no report yet)") == 1
    document = as_document(asked, "report-index", "index", tmp_path)
    assert document["page"] == str(tmp_path / "index.html")
    good, bad = document["runs"]
    assert good["usd_per_million_tokens"] == pytest.approx(0.1376, abs=1e-4)
    assert not bad["is_valid"]
    assert [bad[key] for key in ("tokens_per_s", "usd_per_million_tokens")] == [None, None]
    assert asked("index", tmp_path / "none")[0] == 3


def test_without_what_draws_the_index_names_the_extra(
    asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded_runs.copy("a", tmp_path / "a")
    monkeypatch.setitem(sys.modules, "altair", None)
    code, _, said = asked("index", tmp_path)
    assert code == 3
    assert "pictures need altair, which is not installed" in said
    assert "pip install 'rocminfra[report]'" in said
    assert not (tmp_path / "index.html").exists()


@pytest.mark.parametrize("verb", ["build", "compare", "gate", "index"])
def test_help_begins_with_examples(asked: Asked, verb: str) -> None:
    code, out, _ = asked(verb, "--help")
    assert code == 0
    assert out.splitlines()[2].strip().startswith("rocminfra report")
