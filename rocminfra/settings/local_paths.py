"""Paths on the operator's machine, wherever a setting takes one.

One rule for all of them: ``~`` and ``~user`` are the home folder, and what does not begin with
``/`` begins in the working directory, whichever file or variable names it.
"""

from __future__ import annotations

import os
import re

# One name, or owner and name, as the hub allows them (huggingface_hub, validate_repo_id).
_REPOSITORY = re.compile(r"[A-Za-z0-9_][\w.-]*(/[A-Za-z0-9_][\w.-]*)?", re.ASCII)
MOST_REPOSITORY_LETTERS = 96


def expanded(path: str) -> str:
    """The path with its home folder written out; raises ValueError for a user unknown here."""
    if "\0" in path or "\n" in path or "\r" in path:
        raise ValueError("must not contain control characters")
    found = os.path.expanduser(path)
    if found.startswith("~"):
        user = found.split("/", 1)[0]
        raise ValueError(f"there is no user {user[1:]} on this machine whose home {user} could be")
    if found.startswith(("$", "file:")):
        raise ValueError("must be a path; neither variables nor URLs are expanded here")
    return found


def absolute(path: str) -> str:
    """The path from the root on; raises ValueError as :func:`expanded` does."""
    return os.path.abspath(expanded(path))


def is_path(text: str) -> bool:
    """Whether a text that could also be a name is a path: it begins with ``/``, ``~`` or a dot."""
    return text.startswith(("/", "~", "./", "../")) or text in (".", "..")


def repository_or_folder(text: str) -> str:
    """A repository of the hub, or the absolute path of a folder; raises ValueError otherwise."""
    if is_path(text):
        return absolute(text)
    is_name = _REPOSITORY.fullmatch(text) is not None and len(text) <= MOST_REPOSITORY_LETTERS
    if not is_name or ".." in text or "--" in text or text.endswith((".", "-", ".git")):
        hint = ""
        if "://" in text:
            hint = "; of its URL only the last two parts"
        elif text.count("/") > 1:
            hint = f"; a folder is written ./{text}"
        raise ValueError(
            "must be a repository of the hub such as Qwen/Qwen2-VL-72B-Instruct, or a folder that "
            f"begins with /, ./, ../ or ~{hint}"
        )
    if os.path.isdir(text):
        raise ValueError(
            f"{text} is a folder here, and would be taken for a repository of the hub: "
            f"write ./{text} for the folder; where the repository is meant, run this elsewhere"
        )
    return text
