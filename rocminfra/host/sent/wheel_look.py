"""A folder of wheels and the Python that would install them, as one JSON document.

    wheel_look.py FOLDER

``kind`` is ``folder``, ``missing``, ``unreadable`` or ``other``. Of each wheel: its file name, and
what its METADATA requires (null when that cannot be read). ``markers`` are those of PEP 508.

Reads only. Standard library only: this file is sent to the host as it is.
"""

from __future__ import annotations

import email.parser
import json
import os
import platform
import sys
import zipfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Of any real package, it is some kB.
MOST_METADATA_BYTES = 4 << 20


def main(folder: str) -> None:
    """Print the document."""
    kind, names = names_in(folder)
    document = {
        "kind": kind,
        "wheels": [
            {"file": name, "requires": requires(os.path.join(folder, name))}
            for name in names
            if name.endswith(".whl")
        ],
        "others": [name for name in names if not name.endswith(".whl")][:50],
        "markers": markers(),
        "libc": list(platform.libc_ver()),
    }
    print(json.dumps(document, sort_keys=True))


def names_in(folder: str) -> tuple[str, list[str]]:
    """What a path is, and the names in it."""
    try:
        return "folder", sorted(os.listdir(folder))
    except FileNotFoundError:
        return "missing", []
    except NotADirectoryError:
        return "other", []
    except OSError:
        return "unreadable", []


def requires(path: str) -> list[str] | None:
    """The Requires-Dist lines of a wheel; None when it is damaged."""
    try:
        with zipfile.ZipFile(path) as wheel:
            names = [
                name
                for name in wheel.namelist()
                if name.count("/") == 1 and name.endswith(".dist-info/METADATA")
            ]
            if len(names) != 1 or wheel.getinfo(names[0]).file_size > MOST_METADATA_BYTES:
                return None
            text = wheel.read(names[0]).decode("utf-8", "replace")
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError, EOFError):
        return None
    found = email.parser.HeaderParser().parsestr(text).get_all("Requires-Dist")
    return [str(line) for line in found or []]


def markers() -> dict[str, Any]:
    """The environment that markers are judged by."""
    implementation = sys.implementation
    version = ".".join(map(str, implementation.version[:3]))
    return {
        "implementation_name": implementation.name,
        "implementation_version": version,
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": platform.python_version(),
        "platform_python_implementation": platform.python_implementation(),
        "python_version": ".".join(map(str, sys.version_info[:2])),
        "sys_platform": sys.platform,
    }


if __name__ == "__main__":
    main(sys.argv[1])
