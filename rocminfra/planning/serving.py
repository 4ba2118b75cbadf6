"""What a host serves, once its engine has answered."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Served:
    """An engine that answers.

    + model: name under which it is asked
    + address, port: where it is asked, on the host itself
    """

    model: str
    address: str
    port: int
