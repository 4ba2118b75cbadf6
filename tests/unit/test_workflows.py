"""CI workflows: valid, with no secret within a stranger's reach, and pinned."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from recorded_runs import RUNS

from rocminfra import __version__
from rocminfra.playbook_files import CI_FILES, lay_out

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ACTION = ROOT / ".github" / "actions" / "droplet" / "action.yml"
PAGE = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
GITLAB = re.search(r"```yaml\n(stages:.*?)```", PAGE, re.S)

PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}\Z")


def read(path: Path) -> dict[Any, Any]:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(document, dict)
    return document


def events(document: dict[Any, Any]) -> set[str]:
    # YAML 1.1 takes the key `on` for a truth value.
    found = document[True]
    return {found} if isinstance(found, str) else set(found)


def steps(document: dict[Any, Any]) -> list[dict[str, Any]]:
    if "runs" in document:
        return list(document["runs"]["steps"])
    return [step for job in document["jobs"].values() for step in job["steps"]]


def check(schema: str, path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_all_are_valid(tmp_path: Path) -> None:
    for path in WORKFLOWS:
        check("vendor.github-workflows", path)
    check("vendor.github-actions", ACTION)
    assert GITLAB is not None
    example = tmp_path / ".gitlab-ci.yml"
    example.write_text(GITLAB[1])
    check("vendor.gitlab-ci", example)


def test_the_schemas_find_faults(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yml"
    broken.write_text("on: push\njobs: {a: {steps: []}}\n")
    with pytest.raises(AssertionError):
        check("vendor.github-workflows", broken)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_no_pull_request_gets_a_secret(path: Path) -> None:
    document, text = read(path), path.read_text(encoding="utf-8")
    asked = events(document)
    assert "pull_request_target" not in asked
    assert "workflow_run" not in asked
    if "pull_request" in asked:
        assert "secrets." not in text
        assert "rocminfra droplet" not in text
    if "secrets." in text:
        assert asked <= {"workflow_dispatch", "schedule"}
        assert all("environment" in job for job in document["jobs"].values())


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_least_permissions_an_end_and_one_at_a_time(path: Path) -> None:
    document = read(path)
    assert document["permissions"] == {"contents": "read"}
    assert document["concurrency"]["group"]
    more = {}
    for name, job in document["jobs"].items():
        assert job["timeout-minutes"] > 0
        if "permissions" in job:
            more[name] = job["permissions"]
    wanted = {"publish": {"id-token": "write"}, "notes": {"contents": "write"}}
    assert more == (wanted if path.stem == "release" else {})


def test_a_run_that_costs_money_is_not_cancelled_by_the_next() -> None:
    concurrency = read(ROOT / ".github/workflows/droplet.yml")["concurrency"]
    assert concurrency == {"group": "droplet", "cancel-in-progress": False}


@pytest.mark.parametrize("path", [*WORKFLOWS, ACTION], ids=lambda path: path.stem)
def test_actions_are_pinned_by_commit_and_scripts_hold_no_expressions(path: Path) -> None:
    for step in steps(read(path)):
        uses = step.get("uses")
        assert uses is None or uses.startswith("./") or PINNED.match(uses), uses
        # An expression inside of a script is text of somebody else's that the shell runs.
        assert "${{" not in step.get("run", ""), step
        if str(uses).startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_the_job_outlives_the_droplet() -> None:
    document = read(ROOT / ".github/workflows/droplet.yml")
    (job,) = document["jobs"].values()
    hours = float(document[True]["workflow_dispatch"]["inputs"]["max-hours"]["default"])
    assert job["timeout-minutes"] >= hours * 60 + 30


def test_the_action_destroys_and_looks_again_in_any_case() -> None:
    found = {step.get("name"): step for step in steps(read(ACTION))}
    assert "exec rocminfra droplet run --yes" in found["Create, apply, run, destroy"]["run"]
    after = found["Nothing is left"]
    assert after["if"] == "always()"
    assert after["run"] == "rocminfra droplet reap"
    # Without a baseline nothing is held against one, and the results come back either way.
    gate = found["Not worse than the baseline"]
    assert "rocminfra report gate" in gate["run"]
    assert found["Results"]["if"] == "always()"
    # The same ledger, or it would find nothing.
    state = "ROCMINFRA_DROPLET_STATE"
    assert after["env"][state] == found["Create, apply, run, destroy"]["env"][state]


def test_the_page_says_the_limits_that_stand_in_the_files() -> None:
    inputs = read(ACTION)["inputs"]
    usd, hours = inputs["max-usd"]["default"], inputs["max-hours"]["default"]
    assert f"limits are ${usd} and {hours} hours" in PAGE
    assert f"--max-usd {usd} --max-hours {hours}" in PAGE


def test_init_lays_them_out(tmp_path: Path) -> None:
    plain = lay_out(tmp_path / "plain").files
    assert not any(".github" in str(file) for file in plain)
    more = lay_out(tmp_path / "ci", ci=True).files
    assert {str(file) for file in more} - {str(file) for file in plain} == set(CI_FILES)
    for file in CI_FILES:
        assert (tmp_path / "ci" / file).read_bytes() == (ROOT / file).read_bytes()


def test_every_verb_and_option_that_a_job_calls_is_there() -> None:
    """A renamed option would be noticed at night, by a droplet."""
    texts = [path.read_text(encoding="utf-8") for path in [*WORKFLOWS, ACTION]]
    used = set(
        re.findall(r"(?<![\w-])--[a-z][a-z-]+", "\n".join([*texts, GITLAB[1] if GITLAB else ""]))
    )
    foreign = {"--quiet", "--preserve-env", "--repo", "--verify-tag", "--notes-file"}
    shown = ""
    for words in (
        ["droplet", "run"],
        ["droplet", "reap"],
        ["apply"],
        ["plan"],
        ["bench"],
        ["init"],
        ["report", "gate"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "rocminfra", *words, "--help"],
            capture_output=True,
            text=True,
            check=True,
        )
        shown += done.stdout
    missing = {option for option in used - foreign if option not in shown}
    assert missing == set(), json.dumps(sorted(missing))


def test_jobs_install_this_version_and_no_later_one() -> None:
    """What a job does to droplets does not change because somebody published a release."""
    texts = [path.read_text(encoding="utf-8") for path in (*WORKFLOWS, ACTION)]
    named = re.findall(
        r"(?:\|\| '|default: |--quiet )(rocminfra(?:\[[\w,]+\])?)((?:==[\d.]+)?)(?:'|$)",
        "\n".join([*texts, PAGE]),
        flags=re.MULTILINE,
    )
    assert len(named) == 5
    assert {version for _, version in named} == {f"=={__version__}"}


@pytest.mark.parametrize(
    ("measured", "has_baseline", "code", "said"),
    [
        ("b", False, 0, "--update writes it"),
        ("b", True, 0, "all 30 figures are as good"),
        ("slow", True, 8, "instead of"),
        (None, True, 3, "there is no folder"),
    ],
)
def test_the_step_that_holds_a_run_against_the_baseline(
    tmp_path: Path, measured: str | None, has_baseline: bool, code: int, said: str
) -> None:
    """The very script of the action, on runs that the real GuideLLM made."""
    (step,) = (
        one for one in steps(read(ACTION)) if one.get("name") == "Not worse than the baseline"
    )
    baseline = tmp_path / "benchmarks" / "baseline.json"
    if has_baseline:
        written = ["report", "gate", str(RUNS / "a"), "--baseline", str(baseline), "--update"]
        subprocess.run([sys.executable, "-m", "rocminfra", *written], check=True)
    (tmp_path / "results").mkdir()
    if measured is not None:
        shutil.copytree(RUNS / "a", tmp_path / "results" / "20260512T000000Z")
        shutil.copytree(RUNS / measured, tmp_path / "results" / "20260513T000000Z")
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "rocminfra").write_text(f'#!/bin/sh\nexec {sys.executable} -m rocminfra "$@"\n')
    (tools / "rocminfra").chmod(0o755)
    done = subprocess.run(
        ["bash", "-e", "-c", step["run"]],
        cwd=tmp_path,
        env={**os.environ, "BASELINE": str(baseline), "PATH": f"{tools}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert said in done.stdout + done.stderr
    assert (tmp_path / "results" / "gate.xml").exists() == (code != 3 and has_baseline)
