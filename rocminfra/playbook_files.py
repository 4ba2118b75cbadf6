"""Where the playbook's files are: in the wheel, in a checkout, or in a folder of the user's own."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

# What `rocminfra init` lays out, and what makes a folder a playbook.
PARTS = ("deploy.py", "inventory", "tasks", "templates", "benchmarks")
# What `rocminfra init --ci` lays out besides.
CI_FILES = (
    ".github/actions/droplet/action.yml",
    ".github/workflows/droplet.yml",
    ".github/workflows/lab.yml",
    ".github/workflows/reap.yml",
)

# What belongs to one user: results, and hosts with their addresses.
GITIGNORE = "results/\ninventory/hosts.yaml\n"

_IGNORED = ("__pycache__", ".*", "hosts.yaml")


class FilesInTheWay(Exception):
    """Files that :func:`lay_out` would have to overwrite.

    + files: them
    """

    def __init__(self, files: tuple[Path, ...]) -> None:
        self.files = files
        super().__init__(", ".join(str(file) for file in files))


@dataclass(frozen=True)
class LaidOut:
    """What :func:`lay_out` wrote.

    + folder: where
    + files: paths below it, sorted
    """

    folder: Path
    files: tuple[Path, ...]


def playbook_root(start: Path | None = None) -> Path:
    """The folder with ``deploy.py``, ``tasks/``, ``templates/`` and the rest.

    A folder that ``rocminfra init`` laid out counts first, so that templates and scenarios edited
    there are the ones used; then the files packaged in the wheel; then the checkout.

    + start: folder to look in first, by default the working directory
    """
    start = Path.cwd() if start is None else start
    package = Path(__file__).parent
    for folder in (start, package / "playbook", package.parent):
        if all((folder / part).exists() for part in PARTS):
            return folder
    raise FileNotFoundError(
        f"no playbook in {start}, in the installed package or above it; reinstall rocminfra, or"
        " run this in a folder that `rocminfra init` made"
    )


def packaged_root() -> Path:
    """The playbook as it was shipped, whatever the working directory holds."""
    return playbook_root(Path(__file__).parent / "playbook")


def lay_out(folder: Path, source: Path | None = None, ci: bool = False) -> LaidOut:
    """Copy the playbook into ``folder``, all of it or nothing.

    + folder: made when it does not exist
    + source: the playbook to copy, by default the shipped one
    + ci: also the workflows, which measure on a droplet and destroy forgotten ones

    Also writes a ``.gitignore``, unless there is one: that is somebody's own.

    Raises :class:`FilesInTheWay` when any file exists already; nothing is copied then.
    """
    source = packaged_root() if source is None else source
    extra = [Path(file) for file in CI_FILES] if ci else []
    files = tuple(sorted([*_files(source), *extra]))
    in_the_way = tuple(folder / file for file in files if (folder / file).exists())
    blocked = tuple(
        parent
        for parent in {folder / up for file in files for up in file.parents} | {folder}
        if parent.exists() and not parent.is_dir()
    )
    if in_the_way or blocked:
        raise FilesInTheWay(tuple(sorted({*in_the_way, *blocked})))
    for file in files:
        target = folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / file, target)
    ignored = folder / ".gitignore"
    if not ignored.exists():
        ignored.write_text(GITIGNORE, encoding="utf-8")
        files = (Path(".gitignore"), *files)
    return LaidOut(folder, files)


def _files(source: Path) -> list[Path]:
    files = []
    for part in PARTS:
        path = source / part
        found = [path] if path.is_file() else [item for item in path.rglob("*") if item.is_file()]
        for item in found:
            relative = item.relative_to(source)
            if not any(
                Path(name).match(pattern) for name in relative.parts for pattern in _IGNORED
            ):
                files.append(relative)
    return files
