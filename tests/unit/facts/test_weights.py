"""Weights on a host, with the real `find` over a cache as the hub lays it out."""

from __future__ import annotations

import subprocess
from pathlib import Path

from rocminfra.facts.weights import ModelWeights, Weights


def asked(folder: Path) -> Weights:
    fact = ModelWeights()
    done = subprocess.run(
        ["sh", "-c", str(fact.command(path=str(folder)))],
        capture_output=True,
        text=True,
        check=True,
    )
    return fact.process(done.stdout.splitlines())


def test_a_file_counts_once_by_its_name_in_the_snapshot(tmp_path: Path) -> None:
    blobs, snapshot = tmp_path / "it's/blobs", tmp_path / "it's/snapshots/main"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    for name, size in (("a-1.safetensors", 100), ("a-2.safetensors", 200)):
        (blobs / str(size)).write_bytes(b"x" * size)
        (snapshot / name).symlink_to(blobs / str(size))
    (snapshot / "config.json").write_text("{}")
    assert asked(tmp_path / "it's") == Weights(2, 300, 0)
    (blobs / "abc.incomplete").write_bytes(b"x")
    assert asked(tmp_path / "it's") == Weights(2, 300, 1)


def test_where_nothing_is_there_are_none(tmp_path: Path) -> None:
    assert asked(tmp_path / "absent") == Weights()
