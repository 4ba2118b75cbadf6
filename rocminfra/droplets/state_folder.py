"""Where the ledger, pinned host keys and marks of live runs are kept on the operator's machine."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rocminfra.droplets.access import PREFIX
from rocminfra.failure import Do, FailedError, Failure, Fault

STATE = PREFIX + "STATE"


@dataclass(frozen=True)
class StateFolder:
    """Files of one user; nothing in them is a secret, and nobody else need read them."""

    path: Path

    @property
    def ledger(self) -> Path:
        return self.path / "ledger.jsonl"

    def known_hosts(self, number: int) -> Path:
        """Pinned host key of a droplet."""
        return self.path / "known_hosts" / str(number)

    def make(self) -> None:
        """Make the folder.

        Raises :class:`FailedError` when that is not possible: without a ledger nothing is created.
        """
        try:
            for folder in (self.path, self.path / "known_hosts", self.path / "runs"):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise FailedError.of(
                Failure(
                    Fault.LEDGER_UNUSABLE,
                    f"no folder for the ledger: {error.filename}: {error.strerror}",
                    next=Do(f"export {STATE}=DIR"),
                )
            ) from None

    @contextmanager
    def run_alive(self, tag: str) -> Iterator[None]:
        """Hold the mark that says that the run behind ``tag`` lives; the kernel drops it with us,
        also after SIGKILL."""
        path = self._mark(tag)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            path.unlink(missing_ok=True)
            os.close(descriptor)

    def is_run_alive(self, tag: str) -> bool:
        """Whether a process of this machine holds the mark of ``tag``."""
        try:
            descriptor = os.open(self._mark(tag), os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(descriptor)
        return False

    def _mark(self, tag: str) -> Path:
        return self.path / "runs" / tag.replace(":", "-")


def state_folder(environ: Mapping[str, str]) -> StateFolder:
    """``ROCMINFRA_DROPLET_STATE``, or ``rocminfra/droplets`` in the user's state folder."""
    named = environ.get(STATE, "").strip()
    if named:
        return StateFolder(Path(named).expanduser())
    state = environ.get("XDG_STATE_HOME", "")
    base = Path(state) if state.startswith("/") else Path.home() / ".local" / "state"
    return StateFolder(base / "rocminfra" / "droplets")
