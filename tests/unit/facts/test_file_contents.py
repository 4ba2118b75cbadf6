"""Lines of a file."""

from __future__ import annotations

from rocminfra.facts.file_contents import FileContents


def test_lines_are_those_of_the_file() -> None:
    assert FileContents().process(["a", "", "b"]) == ["a", "", "b"]
    assert FileContents.default() == []


def test_its_arguments_are_quoted() -> None:
    assert "'/a b'" in str(FileContents().command("/a b"))
