"""The launcher's check, on a scheduler of the test's own; the real one's is in tests/lab."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from rocminfra.host.bench import guidellm_launcher as launcher
from rocminfra.host.bench.guidellm_launcher import PATCHED_VERSION, RECORD, Recheck, Record, patch

EVENTS = (
    *("stop_send_requests_event", "send_requests_stopped_event", "requests_generated_event"),
    *("constraint_reached_event", "shutdown_event"),
)


class Group:
    """What of ``WorkerGroupState`` the check looks at, hung as the real one was found."""

    def __init__(self) -> None:
        for name in EVENTS:
            setattr(self, name, threading.Event())
        for name in EVENTS[:2]:
            getattr(self, name).set()
        self.state = SimpleNamespace(queued_requests=0, processed_requests=7, created_requests=7)
        self.stop_processing = True

    def update_state(self, info: Any = None, generation_delay: float | None = None) -> Any:
        return SimpleNamespace(state=self.state, stop_processing=self.stop_processing)

    def is_set(self) -> dict[str, bool]:
        return {name: getattr(self, name).is_set() for name in EVENTS}


@pytest.fixture
def record(tmp_path: Path) -> Record:
    return Record(tmp_path / RECORD)


@pytest.fixture
def recheck(record: Record) -> Recheck:
    return Recheck(Group.update_state, record)


def test_a_poll_ends_what_would_hang(recheck: Recheck, record: Record) -> None:
    group = Group()
    assert recheck(group).state is group.state
    assert all(group.is_set().values())
    assert record.values["healed"] == 1


@pytest.mark.parametrize(
    "changes",
    [{"queued_requests": 1, "created_requests": 8}, {"processed_requests": 6}],
    ids=["a request is queued", "a request is on its way"],
)
def test_nothing_ends_before_its_last_request(recheck: Recheck, changes: dict[str, int]) -> None:
    group = Group()
    vars(group.state).update(changes)
    recheck(group)
    assert not group.shutdown_event.is_set()  # type: ignore[attr-defined]


def test_nothing_ends_while_the_sender_may_add_a_request(recheck: Recheck) -> None:
    group = Group()
    group.send_requests_stopped_event.clear()  # type: ignore[attr-defined]
    before = group.is_set()
    recheck(group)
    assert group.is_set() == before


def test_nothing_ends_while_processing_goes_on(recheck: Recheck, record: Record) -> None:
    group = Group()
    group.stop_processing = False
    recheck(group)
    assert not group.shutdown_event.is_set()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "named", [{"generation_delay": 0.1}, {"info": SimpleNamespace(status="completed")}]
)
def test_only_the_poll_is_checked(recheck: Recheck, named: dict[str, Any]) -> None:
    group = Group()
    before = group.is_set()
    recheck(group, **named)
    assert group.is_set() == before


def test_a_normal_end_is_not_called_healed(recheck: Recheck, record: Record) -> None:
    group = Group()
    for name in EVENTS:
        getattr(group, name).set()
    recheck(group)
    assert record.values["healed"] == 0


def test_the_first_request_is_the_first_that_is_sent(
    recheck: Recheck, record: Record, tmp_path: Path
) -> None:
    for status in ("queued", "pending"):
        recheck(Group(), SimpleNamespace(status=status))
    assert record.values["first_request"] is None
    recheck(Group(), SimpleNamespace(status="in_progress"))
    first = json.loads((tmp_path / RECORD).read_text())["first_request"]
    assert first is not None
    recheck(Group(), info=SimpleNamespace(status="completed"))
    assert record.values["first_request"] == first
    second = Group()
    recheck(second, SimpleNamespace(status="in_progress"))
    assert record.values["first_request"] == first, "of the process, not of its second point"
    assert recheck.group is second, "whose state the stacks show"


def test_another_version_is_left_alone_and_the_record_says_so(
    record: Record, tmp_path: Path
) -> None:
    assert patch("0.8.2", record) is None
    told = json.loads((tmp_path / RECORD).read_text())
    assert (told["guidellm"], told["patched"]) == ("0.8.2", False)
    assert "0.8.1 only" in told["why"]


def test_the_known_version_gets_the_check(
    record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Patched(Group):
        pass

    module = ModuleType("guidellm.scheduler.worker_group")
    module.WorkerGroupState = Patched  # type: ignore[attr-defined]
    for name in ("guidellm", "guidellm.scheduler"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    assert patch(PATCHED_VERSION, record) is not None
    group = Patched()
    group.update_state()
    assert group.shutdown_event.is_set()  # type: ignore[attr-defined]
    assert json.loads((tmp_path / RECORD).read_text())["patched"] is True


def test_a_full_disk_does_not_end_a_measurement(tmp_path: Path) -> None:
    Record(tmp_path / "missing" / RECORD).update(healed=1)


@pytest.mark.parametrize(
    ("context", "workers"), [(None, "own"), ("spawn", "own"), ("forkserver", "cold")]
)
def test_workers_share_imports_only_where_guidellm_forks_them(
    context: str | None, workers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []
    monkeypatch.setattr(launcher.multiprocessing, "set_forkserver_preload", calls.append)
    monkeypatch.setattr(launcher.forkserver, "ensure_running", lambda: calls.append("started"))
    monkeypatch.delenv(launcher.CONTEXT_VARIABLE, raising=False)
    if context is not None:
        monkeypatch.setenv(launcher.CONTEXT_VARIABLE, context)
    assert launcher.start_server("stacks.txt", launcher.share_imports) == workers
    wanted = [["guidellm.scheduler", "guidellm.backends"], "started"]
    assert calls == (wanted if context == "forkserver" else [])


@pytest.mark.parametrize(("ending", "code"), [(3, 3), (None, 0), ("no backend", 1)])
def test_the_record_has_the_times_of_each_step_even_of_a_run_that_fails(
    ending: int | str | None, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cli(args: list[str], prog_name: str) -> None:
        assert (args, prog_name) == (["run"], "guidellm")
        raise SystemExit(ending)

    modules = {
        "guidellm.cli": SimpleNamespace(cli=cli),
        "guidellm.benchmark.entrypoints": SimpleNamespace(),
    }
    monkeypatch.setattr(launcher.importlib, "import_module", modules.__getitem__)
    monkeypatch.setattr(launcher.metadata, "version", lambda name: "another")
    monkeypatch.setattr(launcher, "answer_with_stacks", lambda path, recheck=None: None)
    monkeypatch.setenv(launcher._STACKS_VARIABLE, "")
    monkeypatch.delenv(launcher.CONTEXT_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        launcher.main(["run"])
    written = json.loads((tmp_path / RECORD).read_text())
    assert written["began"] <= written["imported"] <= written["ended"]
    assert (written["patched"], written["first_request"]) == (False, None)
    assert (written["exit_code"], written["workers"]) == (code, "own")
