"""Records of droplets: whole or not there, and names that can be host names."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from failing import next_of, said

from rocminfra.failure import ExitCode, FailedError
from rocminfra.lab import droplet_record
from rocminfra.lab.droplet_record import Droplet
from rocminfra.lab.paths import LabPaths

MakeRecord = Callable[..., Droplet]


def test_record_is_read_back(paths: LabPaths, record: MakeRecord) -> None:
    droplet_record.save(paths, record("lab-7"))
    assert droplet_record.load(paths, "lab-7") == record("lab-7")
    assert [file.name for file in paths.droplet("lab-7").iterdir()] == ["state.json"]


def test_interface_names_fit_the_kernel(record: MakeRecord) -> None:
    assert len(record("x" * 32, number=250).interface) <= 15


def test_names_are_in_natural_order_without_locks(paths: LabPaths, record: MakeRecord) -> None:
    for name in ("lab-10", "lab-2", "demo"):
        droplet_record.save(paths, record(name))
    paths.locks.mkdir()
    assert droplet_record.names(paths) == ("demo", "lab-2", "lab-10")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "lab-1"}', '{"unknown": 1}'])
def test_broken_record_names_the_command_that_removes_it(paths: LabPaths, text: str) -> None:
    folder = paths.droplet("lab-1")
    folder.mkdir(parents=True)
    (folder / "state.json").write_text(text)
    with pytest.raises(FailedError) as caught:
        droplet_record.load(paths, "lab-1")
    assert next_of(caught.value) == "rocminfra lab down lab-1"
    assert droplet_record.readable(paths) == ()


def test_unknown_droplet_is_told_which_there_are(paths: LabPaths, record: MakeRecord) -> None:
    droplet_record.save(paths, record("lab-1"))
    with pytest.raises(FailedError) as caught:
        droplet_record.load(paths, "lab-9")
    assert "there are: lab-1" in said(caught.value)
    assert caught.value.failure.kind == ExitCode.SETTINGS


@pytest.mark.parametrize(
    "name", ["", "a", "Lab", "lab_1", "-lab", "lab-", "1lab", "la b", "../x", "a--b", "x" * 33]
)
def test_names_that_are_no_host_names_are_refused(name: str) -> None:
    with pytest.raises(FailedError) as caught:
        droplet_record.check_name(name)
    assert caught.value.failure.kind == ExitCode.SETTINGS
    assert next_of(caught.value) is not None


@pytest.mark.parametrize("name", ["lab-1", "demo", "ab", "x" * 32])
def test_names_that_are_host_names_are_taken(name: str) -> None:
    droplet_record.check_name(name)
