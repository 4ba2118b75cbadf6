"""Replaced by :mod:`rocminfra.failure`."""

from __future__ import annotations

from rocminfra.failure import SEVERITY, ExitCode, most_severe

__all__ = ["SEVERITY", "ExitCode", "most_severe"]
