"""What ends an inventory file, as pyinfra shows it and as the runner reads it."""

from __future__ import annotations

from pyinfra.api.exceptions import InventoryError

from rocminfra.failure import Failure, lines


class UnusableInventory(InventoryError):
    """Carries a :class:`Failure`; pyinfra shows its text without a traceback."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        # pyinfra prints the text behind its own prefix, so what is wrong comes first.
        shown = lines(failure)
        why = shown[: len(failure.why)]
        what, *following = shown[len(failure.why) :]
        super().__init__("\n".join([what, *why, *(f"    {line}" for line in following)]))
