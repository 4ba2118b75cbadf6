"""Whether a downloaded model is still what its marker says: each file, with its size.

    python3 -c … MARKER

Prints a JSON text: empty when it is whole, else why it is not. Standard library only, and no single
quote in it: this file is sent to the host as it is.
"""

from __future__ import annotations

import json
import os
import sys


def problem(marker: str) -> str:
    try:
        with open(marker, encoding="utf-8") as file:
            document = json.load(file)
        folder, files = document["folder"], document["files"]
        for name, size in sorted(files.items()):
            path = os.path.join(folder, name)
            # A link of the cache is followed, so one without its content is missing.
            if not os.path.isfile(path):
                return f"{path} is missing"
            if os.stat(path).st_size != size:
                return f"{path} has {os.stat(path).st_size} bytes and not {size}"
        return "" if files else "it names no files"
    except FileNotFoundError:
        return "it was not downloaded yet"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"{marker} cannot be read: {type(error).__name__}"


if __name__ == "__main__":
    print(json.dumps(problem(sys.argv[1])))
