"""Look at files and folders, and say what ``stat`` and ``sha256sum`` say of them.

    python3 path_states.py PATH...

Prints what the shell text of the fact ``PathStates`` prints, to the byte. A batch of facts runs it
in the Python that it has, and spares the host three programs for every question. Ends with 1 where
it cannot say the same; then the shell text has to be run.

Standard library only, and no single quote in it: this file is sent to the host as it is.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
import sys

try:  # hashlib brings OpenSSL, which takes a host longer than all of this
    from _sha256 import sha256  # type: ignore[import-not-found]
except ImportError:
    from hashlib import sha256

BORDER = "--- sha256 ---"
# As GNU stat calls them (gnulib, file-type.c); any other file is left to it.
KINDS = {
    stat.S_IFREG: "regular file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symbolic link",
    stat.S_IFBLK: "block special file",
    stat.S_IFCHR: "character special file",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}


def main(paths: list[str]) -> int:
    """Print what is there; 0, or 1 when it has to be asked otherwise."""
    os.getcwd()  # a shell complains when its folder is gone
    present = [path for path in paths if os.path.lexists(path)]
    if not present:
        return 0
    if any(is_odd(path) for path in present) or not (is_usual("stat") and is_usual("sha256sum")):
        return 1
    lines, digests = [], []
    for path in present:
        status = os.lstat(path)
        kind = KINDS.get(stat.S_IFMT(status.st_mode))
        if kind is None:
            return 1
        if stat.S_ISREG(status.st_mode):
            kind = kind if status.st_size else "regular empty file"
            digests.append(f"{digest(path)}  {path}")
        mode, user, group = stat.S_IMODE(status.st_mode), owner(status), group_of(status)
        lines.append(f"{kind}|{mode:o}|{user}|{group}|{path}")
    text = "\n".join([*lines, BORDER, *digests, ""])
    sys.stdout.buffer.write(os.fsencode(text))
    return 0


def is_odd(path: str) -> bool:
    """Whether the tools read or write such a path in another way."""
    return path == "-" or bool(set(path) & set("\\\n\r"))


def is_usual(tool: str) -> bool:
    """Whether a shell would find the system's own tool, and no other of that name."""
    for folder in os.environ.get("PATH", "").split(":"):
        if os.access(os.path.join(folder, tool), os.X_OK):
            return folder in ("/usr/bin", "/bin")
    return False


def digest(path: str) -> str:
    """SHA-256 of a file; OSError when it cannot be read."""
    found = sha256()
    with open(path, "rb") as file:
        while True:
            part = file.read(1 << 20)
            if not part:
                return str(found.hexdigest())
            found.update(part)


def owner(status: os.stat_result) -> str:
    """Name of the owning user."""
    try:
        return pwd.getpwuid(status.st_uid).pw_name
    except KeyError:
        return "UNKNOWN"


def group_of(status: os.stat_result) -> str:
    """Name of the owning group."""
    try:
        return grp.getgrgid(status.st_gid).gr_name
    except KeyError:
        return "UNKNOWN"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
