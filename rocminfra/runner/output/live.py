"""What runs now, on stderr: live at the bottom of a terminal, else a plain line every ten seconds.
Nothing is silent for longer than that."""

from __future__ import annotations

import sys
import textwrap
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rocminfra.runner.output import terminal
from rocminfra.runner.output.terminal import duration, message, sized
from rocminfra.runner.run.activity import Activities, Activity

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

EVERY_S = 10.0
# What is over sooner is not worth a flicker.
APPEARS_AFTER_S = 1.0
_TICK_S = 0.25
_MOST_LINES = 12
# A terminal that is narrower shows nothing worth reading.
_NARROWEST = 20
# Lines of a terminal that stay for what was said before.
_LEFT_ABOVE = 4


class Shown:
    """Shows activities until it is stopped; a context manager.

    + activities: what to show
    + quiet: no lines without a terminal either, for ``--json`` into a log that nobody reads
    """

    def __init__(self, activities: Activities, *, quiet: bool = False) -> None:
        self._activities = activities
        self._quiet = quiet
        self._is_terminal = sys.stderr.isatty()
        self._said_at: dict[int, float] = {}
        self._live: Live | None = None
        self._console: Console | None = None
        self._over = threading.Event()
        self._ticker: threading.Thread | None = None

    def __enter__(self) -> Shown:
        self._activities.on_change = self._changed
        # Under gevent a thread is a greenlet, which runs whenever the others wait.
        self._ticker = threading.Thread(target=self._tick_until_over, daemon=True)
        self._ticker.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._activities.on_change = lambda: None
        self._hide()

    def tick(self) -> None:
        """Show what is due now."""
        if self._is_terminal:
            self._show_live()
            return
        now = self._activities.clock()
        running = list(self._activities.running)
        self._said_at = {id(one): self._said_at.get(id(one), one.started) for one in running}
        for one in running:
            if now - self._said_at[id(one)] >= EVERY_S:
                self._said_at[id(one)] = now
                if not self._quiet:
                    message(f"    {activity_words(one)}")

    def _tick_until_over(self) -> None:
        while not self._over.wait(_TICK_S):
            self.tick()

    def _changed(self) -> None:
        # A prompt or the last lines must not find the live display below them.
        if not self._activities.running:
            self._hide()

    def _show_live(self) -> None:
        running = self._activities.running
        if self._live is not None or not running:
            return
        if min(one.elapsed_s() for one in running[:1]) < APPEARS_AFTER_S:
            return
        from rich.live import Live

        self._console = console = terminal.stderr_console()
        self._live = Live(
            console=console,
            get_renderable=self._picture,
            refresh_per_second=4,
            transient=True,
            redirect_stdout=sys.stdout.isatty(),
            redirect_stderr=True,
        )
        terminal.show_above(console)
        self._live.start()

    def _hide(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            live.stop()
            terminal.show_plainly()

    def _picture(self) -> Text:
        from rich.text import Text

        lines = activity_lines(self._activities.running)
        if self._console is not None:
            lines = folded(lines, *self._console.size)
        return Text("\n".join(lines), style="dim", overflow="ellipsis", no_wrap=True)


def activity_lines(running: Sequence[Activity]) -> list[str]:
    """A line for each, the oldest first; with very many hosts the rest as a count."""
    lines = [f"… {activity_words(one)}" for one in running[:_MOST_LINES]]
    if len(running) > _MOST_LINES:
        lines.append(f"… and {len(running) - _MOST_LINES} more")
    return lines


def folded(lines: Sequence[str], width: int, height: int) -> list[str]:
    """Lines that are wider than the terminal, continued below; as they are when there is no room.

    What a line says last changes most, and it is what a narrow terminal would not show.

    + width, height: of the terminal, in characters
    """
    found = [
        part
        for line in lines
        for part in textwrap.wrap(line, max(width, _NARROWEST), subsequent_indent="    ")
    ]
    return found if len(found) <= max(len(lines), height - _LEFT_ABOVE) else list(lines)


def activity_words(one: Activity) -> str:
    """``[gpu-1] Pull rocm/vllm: 1 min 20 s, 3.2 of 22.1 GB, 110 MB/s, about 3 min 0 s left``."""
    words = [duration(one.elapsed_s())]
    if one.done_bytes is not None:
        total = "" if one.total_bytes is None else f" of {sized(one.total_bytes)}"
        words.append(f"{sized(one.done_bytes)}{total}")
        rate = one.bytes_per_s()
        if rate is not None:
            words.append(f"{sized(rate)}/s")
    left = one.left_s()
    if left:
        words.append(f"about {duration(left)} left")
    elif left == 0 and one.expected_s is not None:
        words.append(f"usually {duration(one.expected_s)}")
    if one.note and one.done_bytes is None:  # what speaks of bytes would say them twice
        words.append(one.note)
    host = f"[{one.host}] " if one.host else ""
    return f"{host}{one.what}: {', '.join(words)}"
