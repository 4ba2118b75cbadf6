"""Keep files as they are before they are replaced, and put them back.

    python3 kept_files.py keep FOLDER LABEL NOTE PATH...
    python3 kept_files.py restore FOLDER

``keep`` is for files that are proven to work: a folder of the same label is left as it is, because
what was kept then has not been proven wrong since; one of another label is replaced. A path without
a file is kept as such, and ``restore`` removes what is there by then. The folder appears by a
rename, so it is complete or not there; after ``restore`` it is still there, for whoever is cut off.

Files are linked where that can be done: whoever replaces one renames another over it, and a link
takes no room on a disk that is full.

Standard library only, and no single quote in it: this file is sent to the host as it is.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys

INDEX = "index.json"
NEW = ".rocminfra-new"


def main(arguments: list[str]) -> int:
    """Keep or restore; 0, or 1 with the reason on stderr."""
    verb, folder, *others = arguments
    try:
        if verb == "keep":
            keep(folder, others[0], others[1], others[2:])
        else:
            restore(folder)
    except (OSError, ValueError) as error:
        print(f"{verb} {folder}: {error}", file=sys.stderr)
        return 1
    return 0


def keep(folder: str, label: str, note: str, paths: list[str]) -> None:
    """Keep ``paths`` in ``folder``, with a label and a note for whoever restores them."""
    if label_of(folder) == label:
        return
    making = f"{folder}.making"
    for old in (making, folder):
        shutil.rmtree(old, ignore_errors=True)
    os.makedirs(making, mode=0o700)
    files = {}
    for number, path in enumerate(paths):
        if os.path.isfile(path) and not os.path.islink(path):
            same_file(path, os.path.join(making, str(number)))
            files[path] = str(number)
        elif not os.path.lexists(path):
            files[path] = ""
        else:
            raise ValueError(f"{path} is not a regular file")
    with open(os.path.join(making, INDEX), "w", encoding="utf-8") as file:
        json.dump({"label": label, "note": note, "files": files}, file)
        file.flush()
        os.fsync(file.fileno())
    os.rename(making, folder)


def restore(folder: str) -> None:
    """Put the kept files back, each by a rename."""
    with open(os.path.join(folder, INDEX), encoding="utf-8") as file:
        files = json.load(file)["files"]
    for path, name in files.items():
        if name:
            same_file(os.path.join(folder, name), path + NEW)
            os.replace(path + NEW, path)
            # Two links to one file: rename does nothing, and says so to nobody.
            with contextlib.suppress(OSError):
                os.unlink(path + NEW)
        elif os.path.lexists(path):
            os.unlink(path)


def label_of(folder: str) -> str | None:
    """Label of what is kept, or None."""
    try:
        with open(os.path.join(folder, INDEX), encoding="utf-8") as file:
            return str(json.load(file)["label"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def same_file(source: str, target: str) -> None:
    """Make ``target`` the same file, or a copy of it with its mode, owner and time."""
    if os.path.lexists(target):
        os.unlink(target)
    try:
        os.link(source, target)
    except OSError:
        status = os.stat(source)
        with open(source, "rb") as reading:
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "wb") as writing:
                shutil.copyfileobj(reading, writing)
                writing.flush()
                os.fsync(writing.fileno())
        os.chown(target, status.st_uid, status.st_gid)
        shutil.copystat(source, target)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
