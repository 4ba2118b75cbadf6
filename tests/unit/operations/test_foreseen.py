"""What operations say they would do, when somebody shows a plan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rocminfra.facts.docker import DockerImage
from rocminfra.facts.file_contents import FileContents
from rocminfra.facts.hub_model import HubModelProblem
from rocminfra.facts.paths import PathState, PathStates
from rocminfra.operations import engine, foreseen, host_files, hub_model
from rocminfra.operations.host_files import HostFile
from rocminfra.planning.foreseen import Foreseen

NEW = HostFile("/etc/a", "one\n")
CHANGED = HostFile("/etc/b", "one\nthree\n")
PRIVATE = HostFile("/etc/c", "KEY=new\n", mode=0o600)


def state_of(text: str, file: HostFile) -> PathState:
    before = HostFile(file.path, text)
    return PathState("regular file", file.mode, "root", "root", before.sha256)


def words(host: Any) -> list[str]:
    return [one.words for found in foreseen.foreseen(host).values() for one in found]


def test_files_with_their_differences_and_private_ones_without(
    scripted: Any, run: Callable[..., Any]
) -> None:
    scripted.facts[PathStates] = {
        CHANGED.path: state_of("one\ntwo\n", CHANGED),
        PRIVATE.path: state_of("KEY=old\n", PRIVATE),
    }
    scripted.facts[FileContents] = ["one", "two"]
    foreseen.listen(scripted)
    run(host_files.present, files=[NEW, CHANGED, PRIVATE])
    found = foreseen.foreseen(scripted)[None]
    assert [(one.words, one.diff) for one in found] == [
        ("creates /etc/a", ()),
        ("changes /etc/b", (" one", "-two", "+three")),
        ("changes /etc/c, which only its owner may read", ()),
    ]
    # Another text of a private file is another plan.
    assert found[2].digest.endswith(PRIVATE.sha256)
    assert [arguments for fact, arguments in scripted.asked if fact is FileContents] == [
        {"path": "/etc/b"}
    ]


def test_many_new_files_are_counted(scripted: Any, run: Callable[..., Any]) -> None:
    scripted.facts[PathStates] = {}
    foreseen.listen(scripted)
    files = [HostFile(f"/usr/lib/a/{number}", "x") for number in range(9)]
    run(host_files.present, files=files)
    assert words(scripted) == ["creates 9 files in /usr/lib/a"]


def test_nothing_is_asked_or_kept_when_no_plan_is_shown(
    scripted: Any, run: Callable[..., Any]
) -> None:
    scripted.facts[PathStates] = {CHANGED.path: state_of("one\ntwo\n", CHANGED)}
    run(host_files.present, files=[CHANGED])
    assert FileContents not in [fact for fact, _ in scripted.asked]
    assert foreseen.foreseen(scripted) == {}
    foreseen.listen(scripted)
    foreseen.forget(scripted)
    foreseen.foresee(scripted, Foreseen("x"))
    assert foreseen.foreseen(scripted) == {}


def test_an_image_is_named_once_with_its_usual_size(scripted: Any, run: Callable[..., Any]) -> None:
    scripted.facts.update({DockerImage: None, PathStates: {}})
    foreseen.listen(scripted)
    run(engine.image_started, reference="rocm/vllm:1")
    assert not [text for text in words(scripted) if text.startswith("pulls")]
    run(engine.image, reference="rocm/vllm:1")
    (found,) = [one for one in foreseen.foreseen(scripted)[None] if one.words.startswith("pulls")]
    assert found.words == "pulls rocm/vllm:1, usually 22 GB"
    assert (found.download_bytes, found.is_estimate) == (22_000_000_000, True)


def test_a_model_of_the_hub_is_as_large_as_its_weights(
    scripted: Any, run: Callable[..., Any]
) -> None:
    scripted.facts[PathStates] = {f"{hub_model.ENVIRONMENT}/bin/hf": None}
    scripted.facts[HubModelProblem] = "no marker"
    foreseen.listen(scripted)
    run(hub_model.fetched, repository="Qwen/x", home="/mnt/hf")
    found = [one for one in foreseen.foreseen(scripted)[None] if one.fetches_weights]
    assert [one.words for one in found] == ["downloads Qwen/x"]
