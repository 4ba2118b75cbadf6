"""Altair and vl-convert, imported when a picture is drawn; provisioning needs neither.

They take more room than everything else that rocminfra needs, so they are an extra.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cache
from types import ModuleType
from typing import Any

from rocminfra.failure import Do, FailedError, Fault
from rocminfra.report.charts.script_cache import kept
from rocminfra.report.charts.style import LIGHT, resolved

EXTRA = "rocminfra[report]"
# Altair 6 writes specifications of this Vega-Lite.
_VEGA_LITE = "6.4"


def altair() -> ModuleType:
    """The package that writes specifications.

    Raises :class:`FailedError` with the extra's name when it is not installed.
    """
    return _load("altair")


def svg(spec: Mapping[str, Any], palette: Mapping[str, str] | None = LIGHT) -> str:
    """A picture as SVG.

    + spec: a Vega-Lite specification
    + palette: values for its colours; None keeps CSS variables, for a page that sets them

    Raises :class:`FailedError` when vl-convert is not installed.
    """
    given = dict(spec) if palette is None else _on_ground(spec, palette)
    text: str = _load("vl_convert").vegalite_to_svg(given, vl_version=_VEGA_LITE)
    return text


def png(spec: Mapping[str, Any], palette: Mapping[str, str] = LIGHT, scale: float = 2) -> bytes:
    """A picture as PNG.

    + scale: pixels a unit of the specification

    Raises :class:`FailedError` when vl-convert is not installed.
    """
    found: bytes = _load("vl_convert").vegalite_to_png(
        _on_ground(spec, palette), vl_version=_VEGA_LITE, scale=scale
    )
    return found


@cache
def script() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script that needs nothing else.

    Raises :class:`FailedError` when vl-convert is not installed.
    """
    vl_convert = _load("vl_convert")

    def make() -> str:
        text: str = vl_convert.javascript_bundle(vl_version=_VEGA_LITE)
        return text

    return kept(f"vega-lite-{_VEGA_LITE}-vl-convert-{vl_convert.__version__}", make)


def _on_ground(spec: Mapping[str, Any], palette: Mapping[str, str]) -> dict[str, Any]:
    """A file is looked at on any ground: it brings its own."""
    found: dict[str, Any] = resolved(dict(spec), palette)
    return {**found, "background": palette["surface"], "padding": 12}


def _load(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise FailedError(
            Fault.EXTRA_MISSING,
            f"pictures need {name.replace('_', '-')}, which is not installed",
            (str(error),),
            Do(f"pip install '{EXTRA}'"),
        ) from None
