"""Manifests in sha256sum's format, and what they must never let through."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocminfra.planning.bench.manifest import (
    MANIFEST,
    ManifestError,
    check_path,
    differences,
    format_manifest,
    parse_manifest,
)

A, B = "a" * 64, "b" * 64


def test_sha256sum_accepts_what_we_write(tmp_path: Path) -> None:
    (tmp_path / "01-concurrent-4").mkdir()
    (tmp_path / "01-concurrent-4" / "report with space.json").write_text("{}")
    digest = hashlib.sha256(b"{}").hexdigest()
    text = format_manifest({"01-concurrent-4/report with space.json": digest})
    (tmp_path / MANIFEST).write_text(text)
    subprocess.run(["sha256sum", "-c", "--strict", MANIFEST], cwd=tmp_path, check=True)


def test_we_read_what_sha256sum_writes(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("hello")
    for option in ("--text", "--binary"):
        line = subprocess.run(
            ["sha256sum", option, "x"], cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout
        assert parse_manifest(line) == {"x": hashlib.sha256(b"hello").hexdigest()}


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../up",
        "a/../../up",
        "a/..",
        "..",
        ".",
        "",
        "a//b",
        "./a",
        "a/",
        "a\\b",
        "a\nb",
    ],
)
def test_a_path_that_could_lead_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(ManifestError):
        check_path(path)
    with pytest.raises(ManifestError):
        format_manifest({path: A})
    with pytest.raises(ManifestError):
        parse_manifest(f"{A}  {path}\n")


@pytest.mark.parametrize(
    "line", ["nonsense", f"{A[:-1]}  x", f"{A} x", f"{A.upper()}  x", f"{A}  "]
)
def test_a_malformed_line_is_refused(line: str) -> None:
    with pytest.raises(ManifestError, match="line 1"):
        parse_manifest(line + "\n")


def test_a_path_that_comes_twice_is_refused() -> None:
    with pytest.raises(ManifestError, match=r"line 2 .* again"):
        parse_manifest(f"{A}  x\n{B}  x\n")


def test_differences_name_every_file() -> None:
    problems = differences(
        {"gone": A, "changed": A, "same": A}, {"changed": B, "same": A, "new": B}
    )
    assert [problem.split(":")[0] for problem in problems] == ["changed", "gone", "new"]
    assert "missing" in problems[1]
    assert "not in the manifest" in problems[2]


@given(
    st.dictionaries(
        st.text("abc-._ 0é", min_size=1, max_size=12).filter(lambda name: name not in (".", "..")),
        st.text("0123456789abcdef", min_size=64, max_size=64),
    )
)
def test_reading_gives_back_what_was_written(digests: dict[str, str]) -> None:
    assert parse_manifest(format_manifest(digests)) == digests
