"""What goes wrong, at which step of a droplet's life, and how it ends.

The table in docs/droplets.md is made from this; ``python tests/droplet_matrix.py`` prints it.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from droplet_cloud import Fault
from droplet_world import World, world

from rocminfra.droplets.interrupts import Interrupts
from rocminfra.droplets.run import Job, Outcome, run
from rocminfra.failure import FailedError

# A step and the requests that belong to it. `_run` begins with the account's question, and looks
# at sizes, images and keys before it asks for anything.
STEPS: dict[str, tuple[str, str, int]] = {
    "account": ("GET", r"^/v2/account$", 0),
    "sizes": ("GET", r"^/v2/sizes", 0),
    "names in use": ("GET", r"^/v2/droplets\?", 0),
    "create": ("POST", r"^/v2/droplets$", 0),
    "wait": ("GET", r"^/v2/droplets/\d+$", 1),
    "destroy": ("DELETE", r"^/v2/droplets/\d+$", 0),
    # The two lists that were read for the names are no part of it.
    "see it gone": ("GET", r"^/v2/droplets\?type=gpus", 1),
}
# A fault in the table's words: the stub's name for it, and how often it strikes.
FAULTS: dict[str, tuple[str, int]] = {
    "429, Retry-After 7 s": ("limit", 1),
    "429, Retry-After 40 min": ("long limit", 1_000_000),
    "503 twice": ("sick", 2),
    "503 for good": ("sick", 1_000_000),
    "no answer in time": ("hang", 1),
    "connection lost before it arrived": ("cut", 1),
    "answer lost after it was done": ("lost", 1),
    "half an answer": ("garbage", 1),
    "301": ("moved", 1_000_000),
    "401": ("unauthorized", 1_000_000),
    "403": ("forbidden", 1_000_000),
    "list forgets for a while": ("forgets", 2),
}
# Only reads of droplets can forget.
FORGETFUL = ("names in use", "wait", "see it gone")
CELLS = tuple(
    (fault, step)
    for fault in FAULTS
    for step in STEPS
    if FAULTS[fault][0] != "forgets" or step in FORGETFUL
)
# Faults that are no request's: each prepares the world before the run.
LIFE: dict[str, Callable[[World], None]] = {
    "capacity gone between the offer and the request": lambda w: _on_post(w, _sell_out),
    "answer lost, and the list lags behind for a minute": lambda w: _lost(w, 16),
    "answer lost, and it never shows up in a list": lambda w: _lost(w, 1_000_000),
    "202, then an error": lambda w: setattr(w.stub, "errored", True),
    "never active": lambda w: setattr(w.stub, "active_after_s", None),
    "active without an address": lambda w: setattr(w.stub, "address_after_s", None),
    "address changes while SSH is awaited": lambda w: setattr(w.stub, "moves_after_s", 34.0),
    "SSH never answers": lambda w: setattr(w.reach, "refused", 1_000_000),
    "login never works": lambda w: setattr(w.reach, "login_denied", 1_000_000),
    "cloud-init never done": lambda w: setattr(w.reach, "booting", 1_000_000),
    "somebody else destroys it": lambda w: w.time.at(15, lambda: _destroy_all(w)),
    "no network from the wait on": lambda w: w.time.at(15, lambda: _no_network(w)),
    "Ctrl-C during the wait": lambda w: w.time.at(15, lambda: _signal(signal.SIGINT)),
    "SIGTERM during the wait": lambda w: w.time.at(15, lambda: _signal(signal.SIGTERM)),
    "closed terminal during the wait": lambda w: w.time.at(15, lambda: _signal(signal.SIGHUP)),
    "Ctrl-C while the request is under way": lambda w: _on_post(
        w, lambda _w: _signal(signal.SIGINT)
    ),
    "Ctrl-C twice, again while destroying": lambda w: _twice(w),
}
COMMAND = ("true",)


@dataclass(frozen=True)
class Played:
    """How a run ended.

    + code: exit code of the command
    + paid: droplets that were ever created
    + alive: droplets that still cost money
    + known: whether each of those stands open in the ledger
    + printed: whether the id, or the tag where no id was heard, of each was printed
    """

    code: int
    paid: int
    alive: int
    known: bool
    printed: bool
    posts: int

    @property
    def in_words(self) -> str:
        if not self.paid:
            return f"nothing created ({self.code})"
        if not self.alive:
            return f"destroyed ({self.code})"
        return f"named, in the ledger ({self.code})"


def play(prepare: Callable[[World], None], folder: Path) -> Played:
    """Run one whole `droplet run` in a world with a fault."""
    with world(folder) as made:
        prepare(made)
        failures = []
        with Interrupts(made.said.append) as interrupts:
            try:
                outcome = _run(made, interrupts)
                code, failures = outcome.code, list(outcome.failures)
            except FailedError as error:
                code, failures = error.failure.kind, [error.failure]
        printed = "\n".join(
            [*made.said, *(" ".join([f.what, *f.why, str(f.next)]) for f in failures)]
        )
        alive = made.stub.alive
        tags = [next(t for t in item.body["tags"] if "-id:" in t) for item in alive]
        made.stub.faults.clear()
        open_ = made.cloud().ledger.read().open
        return Played(
            int(code),
            len(made.stub.droplets),
            len(alive),
            all(any(entry.tag == tag for entry in open_) for tag in tags),
            all(
                str(item.id) in printed or tag in printed
                for item, tag in zip(alive, tags, strict=True)
            ),
            len(made.requests("POST")),
        )


def _run(made: World, interrupts: Interrupts) -> Outcome:
    cloud = made.cloud(interrupts)
    wanted = made.offer(cloud)
    job = Job(COMMAND, results=made.folder.path / "results")
    return run(cloud, wanted, job, {"PATH": os.environ["PATH"]})


def at_step(step: str, fault: str) -> Callable[[World], None]:
    """A world whose requests of one step go wrong."""
    method, path, after = STEPS[step]
    kind, times = FAULTS[fault]

    def prepare(made: World) -> None:
        made.stub.faults.append(Fault(kind, method, path, times, after))

    return prepare


def table() -> str:
    """Both tables of docs/droplets.md."""
    head = ["fault", *STEPS]
    rows = [head, ["---"] * len(head)]
    for fault in FAULTS:
        cells = [_words(at_step(step, fault)) if (fault, step) in CELLS else "" for step in STEPS]
        rows.append([fault, *cells])
    second = [["what happens", "how it ends"], ["---", "---"]]
    second += [[name, _words(prepare)] for name, prepare in LIFE.items()]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([*lines, "", *(f"| {' | '.join(row)} |" for row in second)])


def _words(prepare: Callable[[World], None]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        return play(prepare, Path(folder)).in_words


def _on_post(made: World, happens: Callable[[World], None]) -> None:
    def look(method: str, _path: str) -> None:
        if method == "POST":
            happens(made)

    made.stub.on_request = look


def _lost(made: World, times: int) -> None:
    made.stub.faults.append(Fault("lost", "POST", "."))
    # The first look is for names in use.
    made.stub.faults.append(Fault("forgets", "GET", r"^/v2/droplets\?type=gpus", times, 1))


def _sell_out(made: World) -> None:
    for size in made.stub.sizes:
        if size["slug"].startswith("gpu-mi300x1"):
            size["regions"] = []


def _destroy_all(made: World) -> None:
    for droplet in made.stub.alive:
        made.stub.destroy(droplet.id)


def _no_network(made: World) -> None:
    made.stub.faults.append(Fault("cut", "GET", "."))
    made.stub.faults.append(Fault("cut", "DELETE", "."))


def _signal(number: int) -> None:
    os.kill(os.getpid(), number)


def _twice(made: World) -> None:
    made.time.at(15, lambda: _signal(signal.SIGINT))

    def look(method: str, _path: str) -> None:
        if method == "DELETE":
            _signal(signal.SIGINT)

    made.stub.on_request = look


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
