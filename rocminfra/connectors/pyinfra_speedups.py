"""Three things that pyinfra works out again for every host, worked out once or with less.

They are two fifths of what pyinfra does for a host in a run without changes. Each is a pure
function of pyinfra's, by the name under which pyinfra calls it; what takes its place answers the
same. A pyinfra that has no such name, or something else under it, is left as it is.

- The types of all global arguments, asked with every fact and every operation: read once.
- The call stack, from which pyinfra numbers operations: without the source lines, for which
  ``inspect`` searches every loaded module and looks at every file. Nobody reads them.
- The installed connectors, asked for every name with an ``@``: every installed package's metadata
  is read for that, once now.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from pyinfra.api import arguments, connectors, inventory, util


def speed_up_pyinfra() -> None:
    """Put them in place; again and again is as good as once."""
    _replace(vars(arguments), "all_global_arguments", _ARGUMENTS, global_arguments)
    _replace(vars(inventory), "get_all_connectors", _CONNECTORS, all_connectors)
    if vars(util).get("getframeinfo") is inspect.getframeinfo:
        _replace(vars(util), "stack", inspect.stack, stack)
    if vars(util).get("stack") is stack:
        _replace(vars(util), "getframeinfo", inspect.getframeinfo, frame_info)


def global_arguments() -> list[tuple[str, type]]:
    """All global arguments and their types."""
    return list(_global_arguments())


def all_connectors() -> dict[str, Any]:
    """All installed connectors by name."""
    return dict(_all_connectors())


def stack(context: int = 1) -> list[inspect.FrameInfo]:
    """The frames from the caller on, as ``inspect.stack`` lists them, without source lines.

    + context: how many source lines were wanted
    """
    frames = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        frames.append(inspect.FrameInfo(frame, *frame_info(frame)))
        frame = frame.f_back
    return frames


def frame_info(frame: FrameType, context: int = 1) -> inspect.Traceback:
    """File, line and function of a frame, without source lines."""
    code = frame.f_code
    return inspect.Traceback(code.co_filename, frame.f_lineno, code.co_name, None, None)


def _replace(
    names: dict[str, Any], name: str, known: Callable[..., Any], instead: Callable[..., Any]
) -> None:
    if names.get(name) is known:
        names[name] = instead


_ARGUMENTS = arguments.all_global_arguments
_CONNECTORS = connectors.get_all_connectors
_global_arguments = functools.cache(_ARGUMENTS)
_all_connectors = functools.cache(_CONNECTORS)
