"""Which rocminfra, from which commit, and with which settings: what makes a run repeatable."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

from rocminfra import __version__
from rocminfra.settings import Settings

_CHECKOUT = Path(__file__).parents[2]


def software(settings: Settings) -> dict[str, str | None]:
    """``version`` and ``commit`` of this rocminfra, and the settings' ``settings_sha256``.

    + settings: of the host; they hold no secret, only the names of variables that do

    ``commit`` ends in ``+changes`` when the checkout has some, and is None outside a checkout.
    """
    values = json.dumps(settings.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return {
        "version": __version__,
        "commit": _commit(),
        "settings_sha256": hashlib.sha256(values.encode()).hexdigest(),
    }


def _commit() -> str | None:
    if not (_CHECKOUT / ".git").exists():
        # Installed as a package, perhaps below somebody else's repository.
        return None
    git = ("git", "-C", str(_CHECKOUT))
    try:
        commit = _output([*git, "rev-parse", "HEAD"])
        changes = _output([*git, "status", "--porcelain", "--untracked-files=no"])
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{commit}+changes" if changes else commit


def _output(command: list[str]) -> str:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, check=True, text=True, timeout=10
    )
    return done.stdout.strip()
