"""Tables for people: what fits, what wraps, what moves below."""

from __future__ import annotations

import pytest

from rocminfra.runner.output.tables import table_lines

WIDE = [
    ("point", "requests", "TTFT p50", "ITL p50", "tokens/s", "KV cache", "preempted", "dollars"),
    ("concurrent@64", "1024", "41.9 s (33-53)", "22 ms (18-27)", "1,204", "93%", "12", "0.411"),
]


def test_columns_stand_below_each_other() -> None:
    assert table_lines([("a", "bb", "c"), ("dddd", "", "e")], 80) == ["a     bb  c", "dddd      e"]


def test_cells_wrap_at_words_when_that_suffices() -> None:
    words = "nothing mounted at /mnt/scratch and nothing else either"
    lines = table_lines([("scratch", words)], 40)
    assert max(map(len, lines)) <= 40
    assert lines[0].split()[0] == "scratch"
    assert " ".join(" ".join(lines).split()) == f"scratch {words}"


def test_columns_that_do_not_fit_move_below_with_the_first_one_repeated() -> None:
    lines = table_lines(WIDE, 40)
    assert max(map(len, lines)) <= 40
    headings = [line for line in lines if line.startswith("point")]
    assert len(headings) > 1
    assert all(line.startswith(("point", "concurrent@64", " ", "")) for line in lines)
    for cell in WIDE[0]:
        assert sum(cell.split()[0] in line.split() for line in lines) >= 1, cell


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 200])
def test_no_line_is_longer_than_the_terminal(columns: int) -> None:
    path = ("a/very/long/path/without/any/space/in/it/results.json", *WIDE[1][1:])
    assert max(map(len, table_lines([*WIDE, path], columns))) <= columns


def test_without_a_terminal_nothing_is_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert len(table_lines([("x" * 300, "y" * 300)])) == 1
    monkeypatch.setenv("COLUMNS", "80")
    assert len(table_lines([("x" * 300, "y" * 300)])) > 1


def test_brackets_and_colons_are_text_and_an_indent_is_kept() -> None:
    assert table_lines([("[red]x[/red]", ":rocket:")], 80, indent=2) == ["  [red]x[/red]  :rocket:"]
    assert table_lines([]) == []
