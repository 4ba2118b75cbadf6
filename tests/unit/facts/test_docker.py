"""Docker as its program reports it: found, missing, off, or not answering."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from rocminfra.facts.docker import (
    Container,
    DockerContainer,
    DockerContainerdStore,
    DockerContents,
    DockerImage,
    DockerOutlivers,
    DockerRoot,
    Image,
    NoAnswer,
)

IMAGE = {
    "id": "sha256:1",
    "digests": None,
    "os": "linux",
    "architecture": "amd64",
    "entrypoint": ["vllm", "serve"],
}
CONTAINER = {
    "id": "c1",
    "running": True,
    "started_at": "2026-05-13T10:00:00.1Z",
    "labels": {"rocminfra.config": "abc"},
    "image": "sha256:1",
}


def test_image_with_and_without_digest() -> None:
    found = {**IMAGE, "digests": ["vllm@sha256:2"]}
    image = Image("sha256:1", ("vllm@sha256:2",), ("vllm", "serve"), "linux/amd64")
    assert DockerImage().process([json.dumps(found)]) == image
    bare = {**IMAGE, "entrypoint": None}  # of an archive, and without an entrypoint
    assert DockerImage().process([json.dumps(bare)]) == Image("sha256:1", (), (), "linux/amd64")


def test_container_with_and_without_labels() -> None:
    found = DockerContainer().process([json.dumps(CONTAINER)])
    assert found == Container(
        "c1", True, "2026-05-13T10:00:00.1Z", (("rocminfra.config", "abc"),), "sha256:1"
    )
    assert found.label("rocminfra.config") == "abc"
    assert found.label("other") is None
    bare = DockerContainer().process([json.dumps({**CONTAINER, "labels": None})])
    assert isinstance(bare, Container)
    assert bare.labels == ()


def test_docker_root() -> None:
    assert DockerRoot().process([""]) is None
    assert DockerRoot().process(["/mnt/models/docker"]) == "/mnt/models/docker"
    assert DockerRoot().process(["WARNING: no cpuset", "/srv/docker "]) == "/srv/docker"
    assert DockerRoot().process(["<no value>"]) is None


def asked(folder: Path, fact: Any, *arguments: str, **programs: str) -> Any:
    """What a fact makes of a host with these programs, which are shell scripts."""
    for name, script in programs.items():
        program = folder / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    for name in ("sh", "timeout"):
        if not (folder / name).exists():
            (folder / name).symlink_to(f"/usr/bin/{name}")
    done = subprocess.run(
        ["sh", "-c", str(fact().command(*arguments))],
        env={"PATH": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    output = done.stdout.splitlines()
    return fact().process(output) if output else None


QUESTIONS = [(DockerRoot,), (DockerImage, "a b"), (DockerContainer, "c")]
# As docker prints them for something missing.
MISSING = 'case $1 in inspect) echo; echo "Error: No such object" >&2; exit 1;; esac'


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ((DockerRoot,), ["info", "--format", "{{.DockerRootDir}}"]),
        ((DockerImage, "a b"), ["inspect", "--type", "image", "--format", "{", "a b"]),
        ((DockerContainer, "c"), ["inspect", "--type", "container", "--format", "{", "c"]),
    ],
)
def test_one_call_of_docker_answers(tmp_path: Path, question: Any, words: list[str]) -> None:
    script = f"""for word; do echo "$word" >>{tmp_path}/words; done; echo '{{}}'"""
    command = str(question[0]().command(*question[1:]))
    (tmp_path / "docker").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "docker").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    subprocess.run(["sh", "-c", command], env=environment, capture_output=True, check=True)
    said = (tmp_path / "words").read_text().splitlines()
    assert [word[: len(wanted)] for word, wanted in zip(said, words, strict=True)] == words


def test_answers_of_a_daemon(tmp_path: Path) -> None:
    image = json.dumps(IMAGE)
    docker = (
        f"case $1-$3 in info-*) echo /mnt/models/docker;; inspect-image) echo '{image}';;"
        f" *) echo '{json.dumps(CONTAINER)}';; esac"
    )
    found = [asked(tmp_path, *question, docker=docker) for question in QUESTIONS]
    assert found[:2] == [
        "/mnt/models/docker",
        Image("sha256:1", (), ("vllm", "serve"), "linux/amd64"),
    ]
    assert isinstance(found[2], Container)


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_host_without_docker_has_none(tmp_path: Path, question: Any) -> None:
    assert asked(tmp_path, *question) is None


@pytest.mark.parametrize("question", QUESTIONS[1:])
def test_something_missing_is_told_from_a_daemon_that_does_not_answer(
    tmp_path: Path, question: Any
) -> None:
    assert asked(tmp_path, *question, docker=MISSING, systemctl="exit 0") is None


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_daemon_that_does_not_answer_is_not_one_that_is_off(
    tmp_path: Path, question: Any
) -> None:
    hangs = f"{MISSING}; exit 1"
    assert asked(tmp_path, *question, docker=hangs, systemctl="exit 0") == NoAnswer()
    assert asked(tmp_path, *question, docker=hangs, systemctl="exit 3") is None


# A learned list asks them all at once, wanted or not.
OTHERS: list[Any] = [(DockerContents,), (DockerContainerdStore,), (DockerOutlivers,)]


@pytest.mark.parametrize("state", ["inactive", "failed"])
@pytest.mark.parametrize("question", [*QUESTIONS, *OTHERS])
def test_a_docker_that_is_off_is_not_started_by_asking_it(
    tmp_path: Path, question: Any, state: str
) -> None:
    """Its client opens docker.socket, and systemd starts what is behind it."""
    touched = tmp_path / "started"
    systemctl = f"case $1 in show) echo {state};; *) exit 3;; esac"
    docker = f"touch {touched}; echo '{{}}'"
    assert not asked(tmp_path, *question, docker=docker, systemctl=systemctl)
    assert not touched.exists()


def test_arguments_of_docker_are_quoted() -> None:
    assert "'a;b'" in str(DockerImage().command("a;b"))
    assert "'a b'" in str(DockerContainer().command("a b"))
