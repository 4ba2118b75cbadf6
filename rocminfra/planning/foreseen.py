"""What a run would do to a host, said before it is done: words, evidence, time and price."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# Assumed, and said to be: what a droplet's network and a registry or the hub give together.
DOWNLOAD_BYTES_PER_S = 200e6
# Assumed as well: weights from an NVMe scratch disk into the GPU, and what vLLM does around it
# (compiling, profiling, graphs).
LOAD_BYTES_PER_S = 1e9
START_S = 90.0


@dataclass(frozen=True)
class Foreseen:
    """One thing that an operation would do, or that was found out about the host.

    + words: one line, such as ``--max-num-seqs 64 → 32``
    + diff: lines of a changed file, each with ``+``, ``-`` or a space in front
    + download_bytes: what comes over the network for it; None when nothing does
    + is_estimate: whether that many bytes are only usual
    + restarts: the unit that stops and starts for it
    + fetches_weights: whether it brings the model's weights
    + digest: of what it is about, where words and diff do not say all of it
    + weights_bytes: size of the model's weights, from what was found out about the model
    """

    words: str
    diff: tuple[str, ...] = ()
    download_bytes: int | None = None
    is_estimate: bool = False
    restarts: str | None = None
    fetches_weights: bool = False
    weights_bytes: int | None = None
    digest: str = ""


@dataclass(frozen=True)
class Estimate:
    """How much time and money a plan would take.

    + download_bytes: over the network
    + download_s, load_s: of it
    + is_estimate: whether bytes were guessed as well, and not only rates assumed
    """

    download_bytes: int
    download_s: float
    load_s: float
    is_estimate: bool

    @property
    def seconds(self) -> float:
        """All of it; image and weights come one after the other."""
        return self.download_s + self.load_s

    def usd(self, usd_per_hour: float) -> float:
        """What the machine costs meanwhile."""
        return self.seconds / 3600 * usd_per_hour


def estimate(foreseen: Iterable[Foreseen]) -> Estimate:
    """Time of what takes long: downloads, and starts of the engine. The rest is seconds."""
    found = list(foreseen)
    weights = max((one.weights_bytes or 0 for one in found), default=0)
    size = sum(
        weights if one.fetches_weights and one.download_bytes is None else one.download_bytes or 0
        for one in found
    )
    starts = {one.restarts for one in found if one.restarts is not None}
    load_s = len(starts) * (START_S + weights / LOAD_BYTES_PER_S)
    guessed = any(one.is_estimate for one in found)
    needs_weights = bool(starts) or any(one.fetches_weights for one in found)
    is_estimate = guessed or (needs_weights and not weights)
    return Estimate(size, size / DOWNLOAD_BYTES_PER_S, load_s, is_estimate)


def argument_changes(before: str, after: str) -> tuple[str, ...]:
    """How the options of a unit's commands differ, in words: ``--max-num-seqs 64 → 32``.

    + before, after: texts of the unit, with one option a line, as our template has them
    """
    old, new = _options(before), _options(after)
    words = []
    for name in dict.fromkeys([*old, *new]):
        was = [value for value in old.get(name, []) if value not in new.get(name, [])]
        will = [value for value in new.get(name, []) if value not in old.get(name, [])]
        for index in range(max(len(was), len(will))):
            gone = was[index] if index < len(was) else None
            come = will[index] if index < len(will) else None
            words.append(_change(name, gone, come))
    return tuple(words)


def _change(name: str, gone: str | None, come: str | None) -> str:
    if come is None:
        return f"{name} is gone" + (f" (was {gone})" if gone else "")
    if gone is None:
        return f"{name} is new" + (f": {come}" if come else "")
    return f"{name} {gone} → {come}"


def _options(unit: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in unit.splitlines():
        option = line.strip().removesuffix("\\").strip().strip('"')
        if not option.startswith("--"):
            continue
        name, _, value = option.partition("=")
        # The hash of all of this, which says nothing of its own.
        if not value.startswith("rocminfra.config="):
            found.setdefault(name, []).append(value)
    return found


def difference(before: Sequence[str], after: Sequence[str]) -> tuple[str, ...]:
    """Lines of a file that change, with two around each, marked with ``-`` and ``+``."""
    lines = list(difflib.unified_diff(before, after, n=2, lineterm=""))
    # Without the two headings: the file's name stands above.
    return tuple(line for line in lines[2:] if not line.startswith("@@"))
