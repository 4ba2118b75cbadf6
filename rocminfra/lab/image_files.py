"""What is in the lab's engine image: a Python, a shell, the simulator."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import tokenizers

import rocminfra
from rocminfra.failure import Do, FailedError, Fault
from rocminfra.lab.elf import library_closure
from rocminfra.lab.rooted import link_chain

APP_FOLDER = "usr/local/lib/vllm-simulator"
_PROGRAMS = (
    *("bash", "cat", "chmod", "cp", "cut", "date", "dash", "df", "du", "echo", "env", "false"),
    *("find", "getent", "grep", "head", "hostname", "id", "kill", "ln", "ls", "md5sum", "mkdir"),
    *("mv", "ps", "pwd", "readlink", "rm", "sed", "sh", "sha256sum", "sleep", "sort", "stat"),
    *("tail", "test", "touch", "tr", "true", "uname", "wc", "which", "whoami"),
)
_SKIPPED_STDLIB = frozenset(
    {"test", "idlelib", "lib2to3", "ensurepip", "pydoc_data", "turtledemo", "tkinter"}
)
_ETC_FILES = (
    "etc/debian_version",
    "etc/host.conf",
    "etc/nsswitch.conf",
    "etc/os-release",
    "etc/passwd",
    "etc/ssl/certs/ca-certificates.crt",
    "usr/lib/os-release",
)
_LAUNCHER = f"""#!/usr/bin/python3 -s
import sys

sys.path.insert(0, "/{APP_FOLDER}")
sys.argv[0] = "vllm"

import os

from rocminfra.lab.engine.serve import main

sys.exit(main(sys.argv[1:], os.environ))
"""
# What a program that imports vLLM finds in the image: its parser and its check of variables, under
# the names that vLLM has for them.
MODULES_FOLDER = "usr/lib/python3/dist-packages"
MODULES = {
    "vllm/__init__.py": f'import sys\n\nsys.path.insert(0, "/{APP_FOLDER}")\n',
    "vllm/envs.py": """from rocminfra.lab.engine.environ import validate_environ
""",
    "vllm/utils/__init__.py": "",
    "vllm/utils/argparse_utils.py": """\
from rocminfra.lab.engine.arguments import FlexibleArgumentParser
""",
    "vllm/entrypoints/__init__.py": "",
    "vllm/entrypoints/openai/__init__.py": "",
    "vllm/entrypoints/openai/cli_args.py": """\
from rocminfra.lab.engine.arguments import make_arg_parser
""",
}


@dataclass(frozen=True)
class Entry:
    """One member of the layer.

    + name: path without a leading slash
    + mode: permission bits
    + source: file to copy, or None
    + data: content if there is no source
    + link: target of a symbolic link, or None
    """

    name: str
    mode: int
    source: Path | None = None
    data: bytes | None = None
    link: str | None = None

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.source is None and self.data is None and self.link is None

    def content(self) -> bytes:
        """Bytes of a regular file, as they go into the image."""
        if self.data is not None:
            return self.data
        if self.source is None:
            return b""
        data = self.source.read_bytes()
        return _timeless(data) if self.source.suffix == ".pyc" else data


def entries(base_root: Path) -> list[Entry]:
    """Everything in the layer, in order of name, folders before what is in them.

    + base_root: a Debian or Ubuntu root with Python 3 in it

    Raises FailedError when the root or this environment lacks something.
    """
    found: dict[str, Entry] = {}
    for entry in _all(base_root.resolve()):
        found.setdefault(entry.name, entry)
    for name in list(found):
        for parent in Path(name).parents:
            if str(parent) != ".":
                found.setdefault(str(parent), Entry(str(parent), 0o755))
    return [found[name] for name in sorted(found)]


def sources() -> dict[str, Path]:
    """The simulator's own files: name below the application's folder, and where it is."""
    package = Path(rocminfra.__file__).resolve().parent
    names = [Path("__init__.py"), Path("reference_run.py")]
    names += [Path("lab/__init__.py"), Path("planning/__init__.py")]
    for folder in ("planning/engine", "lab/engine"):
        names += [path.relative_to(package) for path in sorted((package / folder).glob("*.py"))]
    return {f"rocminfra/{name}": package / name for name in names}


def _all(root: Path) -> Iterator[Entry]:
    yield from _top_level(root)
    programs = [root / "usr/bin" / name for name in _PROGRAMS]
    programs = [path for path in programs if link_chain(root, path)[-1].exists()]
    python = _python(root)
    library = list(_stdlib(root, python))
    bindings = _bindings()
    linked = [*programs, root / "usr/bin/python3", *library, *bindings.values()]
    files = {*library, *library_closure(root, linked)}
    for program in [*programs, root / "usr/bin/python3"]:
        # `sh` and some more are links to their neighbours, or to an alternative.
        files.update(link_chain(root, program))
    files.update(root / name for name in _ETC_FILES if (root / name).exists())
    for path in files:
        yield _copied(root, path)
    yield Entry("etc/group", 0o644, data=_groups(root))
    for name, source in {**bindings, **sources()}.items():
        yield Entry(f"{APP_FOLDER}/{name}", 0o644, source=source)
    for name, text in MODULES.items():
        yield Entry(f"{MODULES_FOLDER}/{name}", 0o644, data=text.encode())
    yield Entry("usr/local/bin/vllm", 0o755, data=_LAUNCHER.encode())


def _top_level(root: Path) -> Iterator[Entry]:
    for name in ("bin", "lib", "lib64", "sbin"):
        if (root / name).is_symlink():
            yield Entry(name, 0o777, link=str((root / name).readlink()))
    for name in ("dev", "proc", "sys", "run", "var/tmp", "mnt", "usr/sbin"):
        yield Entry(name, 0o755)
    yield Entry("tmp", 0o1777)
    yield Entry("root", 0o700)


def _python(root: Path) -> str:
    """Name of the root's interpreter, such as ``python3.11``."""
    program = root / "usr/bin/python3"
    if not link_chain(root, program)[-1].exists():
        raise FailedError(Fault.LAB_BASE_ROOT_UNFIT, f"the base root {root} has no usr/bin/python3")
    name = link_chain(root, program)[-1].name
    minor = name.removeprefix("python3.")
    if not minor.isdecimal() or int(minor) < 10:
        raise FailedError(
            Fault.LAB_BASE_ROOT_UNFIT,
            f"the base root's {name} is older than Python 3.10, which is needed",
        )
    return name


def _stdlib(root: Path, python: str) -> Iterator[Path]:
    folder = root / "usr/lib" / python
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_dir() or parts[0] in _SKIPPED_STDLIB or parts[0].startswith("config-"):
            continue
        yield path


def _bindings() -> dict[str, Path]:
    """The tokenizers package of this environment; its binary serves every Python from 3.10."""
    folder = Path(tokenizers.__file__).resolve().parent
    if not list(folder.glob("*.abi3.so")):
        raise FailedError(
            Fault.LAB_REQUIREMENT_MISSING,
            f"{folder} has no abi3 library, so the image's Python cannot load it",
            next=Do("pip install --force-reinstall tokenizers"),
        )
    return {
        f"tokenizers/{path.relative_to(folder)}": path
        for path in sorted(folder.rglob("*"))
        if path.suffix in (".py", ".so")
    }


def _groups(root: Path) -> bytes:
    """The root's groups without ``render``, which the real image has under another number or
    not at all: a group asked for by name must fail here too."""
    lines = (root / "etc/group").read_text().splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("render:")).encode()


def _copied(root: Path, path: Path) -> Entry:
    name = str(path.relative_to(root))
    if path.is_symlink():
        return Entry(name, 0o777, link=str(path.readlink()))
    return Entry(name, stat.S_IMODE(path.stat().st_mode), source=path)


def _timeless(compiled: bytes) -> bytes:
    """Compiled Python that is valid whatever its source's time is (PEP 552, unchecked hash).

    Every file in the layer has the time 0; checked by time, nothing compiled would be used.
    """
    return compiled[:4] + (1).to_bytes(4, "little") + bytes(8) + compiled[16:]
