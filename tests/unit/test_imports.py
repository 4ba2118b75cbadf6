"""The order of imports: settings, planning, facts, operations, tasks; the runner on top."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "rocminfra"

# What each package may import of ours besides itself. Modules at the package's top are listed
# one by one below BASE: they are what everything stands on.
BASE = {
    "rocminfra",
    "rocminfra.failure",
    "rocminfra.settings.pyinfra_keys",
    "rocminfra.settings.secret_names",
    "rocminfra.settings.problems",
    "rocminfra.settings",
    "rocminfra.playbook_files",
    "rocminfra.settings.hub_token",
}
FILES = {
    "rocminfra.settings.located_yaml",
    "rocminfra.settings.environment",
    "rocminfra.inventory.hosts_file",
    "rocminfra.inventory.ssh_config",
}
ALLOWED = {
    "planning": {"rocminfra.failure", "rocminfra.settings", "rocminfra.settings.problems"},
    "facts": {"planning"} | BASE,
    "operations": {
        "planning",
        "facts",
        "host",
        "bench",
        "report",
        "rocminfra.model_files",
        "rocminfra.rendering",
    }
    | BASE,
    "connectors": {"planning", "facts"} | BASE,
    "host": {"planning"},
    "bench": {"planning", "host", "report", "rocminfra.settings.located_yaml"} | BASE,
    "report": {"planning", "rocminfra.rendering"} | BASE,
    "droplets": {"planning", "rocminfra.inventory.sources"} | BASE | FILES,
    "runner": {
        "planning",
        "facts",
        "operations",
        "host",
        "connectors",
        "bench",
        "report",
        "droplets",
        "rocminfra.inventory.sources",
        "rocminfra.model_files",
        "rocminfra.rendering",
    }
    | BASE
    | FILES,
}
TOP_LEVEL = {
    "failure": set(),
    "pyinfra_keys": set(),
    "settings_problems": set(),
    "secret_names": set(),
    "settings": {
        "rocminfra.settings.pyinfra_keys",
        "rocminfra.settings.secret_names",
        "rocminfra.settings.problems",
    },
    "secrets": {"rocminfra.settings"},
    "playbook_files": set(),
    "located_yaml": {"rocminfra.settings.problems"},
    "environment": {"rocminfra.settings", "rocminfra.settings.problems"},
    "ssh_config": set(),
    "hosts_file": BASE | FILES,
    "inventory_sources": BASE | FILES,
    "rendering": {"planning"} | BASE,
    "model_files": {"planning"},
    "__main__": {"runner"},
}
# Modules that stay quick to import, because help and settings do not need pyinfra (0.5 s).
WITHOUT_PYINFRA = ("rocminfra.settings", "rocminfra.inventory.hosts_file", "rocminfra.runner.cli")


def modules() -> list[Path]:
    return sorted(
        path for path in PACKAGE.rglob("*.py") if "playbook" not in path.relative_to(PACKAGE).parts
    )


def imported(path: Path) -> set[str]:
    """Every module of ours that a file imports, wherever in the file."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            # `from rocminfra.operations import disk` imports a module, not a name.
            submodules = {
                f"{node.module}.{alias.name}"
                for alias in node.names
                if _is_module(f"{node.module}.{alias.name}")
            }
            found |= submodules or {node.module}
        elif isinstance(node, ast.ImportFrom) and node.level > 0:
            raise AssertionError(f"{path}: relative imports hide where things come from")
    return {name for name in found if name.split(".")[0] == "rocminfra"}


def tops(path: Path) -> set[str]:
    """Top-level names of everything that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


def _is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def place(module: str) -> str:
    """The package of a module of ours; a module at the top stands for itself."""
    parts = module.split(".")
    if len(parts) > 1 and (PACKAGE / parts[1]).is_dir():
        return parts[1]
    return module


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path) -> None:
    relative = path.relative_to(PACKAGE)
    if relative.parts[0] == "lab" or str(relative) == "__init__.py":
        return  # the lab may import anything; nothing may import it
    if len(relative.parts) == 1:
        own = f"rocminfra.{path.stem}"
        assert path.stem in TOP_LEVEL, f"say here what {own} stands on"
        allowed = TOP_LEVEL[path.stem]
    else:
        own = relative.parts[0]
        allowed = ALLOWED[own]
    wrong = {name for name in imported(path) if place(name) != own and place(name) not in allowed}
    assert not wrong, f"{relative} imports {sorted(wrong)}"


def test_only_the_lab_verb_and_the_lab_inventory_know_the_lab() -> None:
    outside = [path for path in modules() if "lab" not in path.relative_to(PACKAGE).parts]
    playbook = [
        ROOT / "deploy.py",
        *(ROOT / "tasks").glob("*.py"),
        *(ROOT / "inventory").glob("*.py"),
    ]
    knowing = {
        str(path.relative_to(ROOT))
        for path in [*outside, *playbook]
        if any(name.startswith("rocminfra.lab") for name in imported(path))
    }
    assert knowing <= {"inventory/lab.py"}


def test_host_programs_use_the_standard_library_only_with_all_that_they_import() -> None:
    """They are copied to hosts that have Python and nothing else."""
    waiting = [path for path in (PACKAGE / "host").glob("*.py") if path.name != "__init__.py"]
    seen: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        outside = {name for name in tops(path) if name not in sys.stdlib_module_names}
        assert outside <= {"rocminfra"}, f"{path.name} imports {sorted(outside)}"
        for name in imported(path):
            file = ROOT.joinpath(*name.split(".")).with_suffix(".py")
            assert file.is_file(), f"{path.name} imports {name}"
            waiting.append(file)


def test_planning_decides_without_pyinfra_and_without_io() -> None:
    for path in (PACKAGE / "planning").glob("*.py"):
        outside = {name for name in tops(path) if name not in sys.stdlib_module_names}
        assert outside <= {"rocminfra"}, f"{path.name} imports {sorted(outside)}"
        io = tops(path) & {"subprocess", "socket", "urllib", "http", "asyncio", "shutil"}
        assert not io, f"{path.name} imports {sorted(io)}"


def test_tasks_read_no_facts_at_their_top_level() -> None:
    for path in [ROOT / "deploy.py", *(ROOT / "tasks").glob("*.py")]:
        assert ".get_fact(" not in path.read_text(encoding="utf-8"), path.name


def test_the_playbook_includes_its_tasks_instead_of_importing_them() -> None:
    for path in [ROOT / "deploy.py", *(ROOT / "tasks").glob("*.py")]:
        names = {
            node.module.split(".")[0]
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.ImportFrom) and node.module
        }
        assert "tasks" not in names, "an import runs a task for the first host only"


@pytest.mark.parametrize("module", WITHOUT_PYINFRA)
def test_what_must_start_at_once_does_not_import_pyinfra(module: str) -> None:
    code = f"import sys, {module}; print('pyinfra' in sys.modules, 'gevent' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "False"]
