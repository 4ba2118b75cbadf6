"""Colours, sizes, durations."""

from __future__ import annotations

import io

import pytest

from rocminfra.runner.output.terminal import duration, sized, styled


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"TERM": "xterm"}, "\x1b[31mx\x1b[0m"),
        ({"TERM": "xterm", "NO_COLOR": "1"}, "x"),
        ({"TERM": "dumb"}, "x"),
    ],
)
def test_colours_only_on_a_terminal_that_wants_them(
    environ: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert styled("x", "red", Terminal()) == expected
    assert styled("x", "red", io.StringIO()) == "x"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (59.94, "59.9 s"),
        (60.4, "1 min 0 s"),
        (200, "3 min 20 s"),
        (3600 * 2 + 300, "2 h 5 min"),
        (86400 * 3 + 3600, "3 d 1 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1500, "2 kB"), (3_400_000, "3 MB"), (22_140_000_000, "22.1 GB")],
)
def test_sizes(count: int, text: str) -> None:
    assert sized(count) == text
