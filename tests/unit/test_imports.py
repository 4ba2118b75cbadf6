"""The order of imports: settings, planning, facts, operations, tasks; the runner on top."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "rocminfra"

# What each room may import of ours besides itself. A room is a folder; a module at the package's
# top stands for itself. `planning` below means the folder's own modules, not its rooms.
BASE = {
    "failure",
    "faults",
    "host_answers",
    "host_paths",
    "playbook_files",
    "plural",
    "reference_run",
    "settings",
    "user_cache",
}
PLANNING = {
    "planning",
    "planning/bench",
    "planning/capacity",
    "planning/disk",
    "planning/docker",
    "planning/engine",
    "planning/gpus",
    "planning/model",
    "planning/prediction",
}
ALLOWED: dict[str, set[str]] = {
    "failure": {"faults"},
    "faults": set(),
    "doc_pages": set(),
    "host_answers": set(),
    "host_paths": set(),
    "playbook_files": set(),
    "plural": set(),
    "reference_run": set(),
    "user_cache": set(),
    "settings": {"failure", "reference_run"},
    "inventory": {"failure", "settings", "playbook_files"},
    "planning": {"failure", "host_paths", "planning/gpus", "settings"},
    # Carried by the simulator's image, and by the host: nothing but themselves.
    "planning/engine": {"reference_run"},
    "planning/bench": set(),
    "planning/gpus": set(),
    "planning/disk": {"failure"},
    "planning/docker": {"failure"},
    "planning/model": {"failure", "planning/engine"},
    "planning/capacity": {
        "failure",
        "reference_run",
        "planning/engine",
        "planning/gpus",
        "planning/model",
        "settings",
    },
    "planning/prediction": {
        "failure",
        "reference_run",
        "planning/bench",
        "planning/capacity",
        "planning/engine",
        "planning/model",
    },
    "rendering": {"planning", "planning/gpus"} | BASE,
    "model_files": {"failure", "hub", "planning/model", "settings"},
    # Stands for itself on the host.
    "hub": set(),
    "host": {"host_paths"},
    "host/sent": set(),
    "host/installed": {"planning/gpus"},
    "host/fetch": {"hub"},
    "host/bench": {"planning/bench", "planning/gpus"},
    "facts": {"host"} | PLANNING | BASE,
    "operations": {"bench", "facts", "host", "hub", "model_files", "rendering", "report"}
    | PLANNING
    | BASE,
    "connectors": {"facts", "host"} | PLANNING | BASE,
    "bench": {"host"} | PLANNING | BASE,
    "report": {"rendering"} | PLANNING | BASE,
    "report/charts": {"failure", "report", "user_cache"},
    "report/page": {"failure", "report", "report/charts"},
    "report/reading": {"failure", "planning/bench", "report"},
    "report/figures": {"failure", "report", "report/reading"} | PLANNING,
    "report/comparison": {"failure", "report", "report/reading", "report/figures"} | PLANNING,
    "droplets": {"inventory"} | PLANNING | BASE,
    "runner": {"failure", "settings"},
    "runner/run": {
        "bench",
        "connectors",
        "facts",
        "host",
        "inventory",
        "operations",
        "rendering",
        "runner",
    }
    | PLANNING
    | BASE,
    "runner/hosts": {
        "bench",
        "facts",
        "host",
        "inventory",
        "operations",
        "rendering",
        "runner",
        "runner/run",
    }
    | PLANNING
    | BASE,
    "runner/output": {
        "bench",
        "droplets",
        "report",
        "report/charts",
        "report/comparison",
        "report/figures",
        "report/reading",
        "report/page",
        "runner",
        "runner/hosts",
        "runner/run",
    }
    | PLANNING
    | BASE,
    "runner/verbs": {
        "doc_pages",
        "bench",
        "droplets",
        "hub",
        "inventory",
        "model_files",
        "rendering",
        "report",
        "report/charts",
        "report/comparison",
        "report/figures",
        "report/page",
        "report/reading",
        "runner",
        "runner/hosts",
        "runner/output",
        "runner/run",
    }
    | PLANNING
    | BASE,
    "__main__": {"runner"},
}
# Programs whose functions the operator's side calls as well: the reader of a stream and its writer
# share a format, the lock its launcher.
BOTH_SIDES = {"connectors": {"host/sent"}, "runner/run": {"host/sent"}}
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


def room(module: str) -> str:
    """The folder of a module, such as ``planning/disk``; one at the top stands for itself."""
    parts = module.split(".")[1:]
    if not PACKAGE.joinpath(*parts).is_dir() and len(parts) > 1:
        parts.pop()
    return "/".join(parts)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path) -> None:
    relative = path.relative_to(PACKAGE)
    if relative.parts[0] == "lab" or str(relative) == "__init__.py":
        return  # the lab may import anything; nothing may import it
    module = ".".join(("rocminfra", *relative.with_suffix("").parts)).removesuffix(".__init__")
    own = room(module)
    assert own in ALLOWED, f"say here what {own} may import"
    allowed = ALLOWED[own] | BOTH_SIDES.get(own, set())
    wrong = {name for name in imported(path) if room(name) not in {"", own} | allowed}
    assert not wrong, f"{relative} imports {sorted(wrong)}"


def test_no_two_rooms_import_each_other() -> None:
    """Follows what is allowed: a circle there would make the order a matter of luck."""
    above: dict[str, set[str]] = {name: set() for name in ALLOWED}
    waiting = [(name, below) for name, allowed in ALLOWED.items() for below in allowed]
    while waiting:
        name, below = waiting.pop()
        if below not in above[name]:
            above[name].add(below)
            waiting += [(name, next_below) for next_below in ALLOWED[below]]
    assert not [name for name, found in above.items() if name in found]


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
    waiting = [*(PACKAGE / "host").glob("*/*.py"), *(PACKAGE / "planning/bench").glob("*.py")]
    seen: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        outside = {name for name in tops(path) if name not in sys.stdlib_module_names}
        # It runs in GuideLLM's environment and says so.
        there = {"PIL", "pyarrow"} if path.name == "document_pages.py" else set()
        assert outside <= {"rocminfra", *there}, f"{path.name} imports {sorted(outside)}"
        for name in imported(path):
            file = ROOT.joinpath(*name.split(".")).with_suffix(".py")
            if not file.is_file():
                file = ROOT.joinpath(*name.split("."), "__init__.py")
            assert file.is_file(), f"{path.name} imports {name}"
            waiting.append(file)


def test_planning_decides_without_pyinfra_and_without_io() -> None:
    for path in (PACKAGE / "planning").rglob("*.py"):
        outside = {name for name in tops(path) if name not in sys.stdlib_module_names}
        # Versions and names of Python packages, as pip itself judges them; it only computes.
        assert outside <= {"rocminfra", "packaging"}, f"{path.name} imports {sorted(outside)}"
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


@pytest.mark.parametrize(
    "module",
    ["rocminfra.runner.cli", "rocminfra.operations.engine", "rocminfra.runner.verbs.predict"],
)
def test_nothing_but_a_picture_imports_the_libraries_that_draw(module: str) -> None:
    """They are an extra, and take a second to import."""
    code = f"import sys, {module}; print({{'altair', 'vl_convert'}} & sys.modules.keys())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


def test_only_one_module_imports_the_libraries_that_draw() -> None:
    drawing = {
        str(path.relative_to(PACKAGE))
        for path in modules()
        if tops(path) & {"altair", "vl_convert"} or "vl_convert" in path.read_text(encoding="utf-8")
    }
    assert drawing == {"report/charts/library.py"}


def test_no_test_module_patches_the_process_that_runs_the_tests() -> None:
    """pyinfra's command line patches the standard library when it is imported: threads then wait
    for whoever runs to let them. Tests of it go through tests/unit/runner/worker.py.
    """
    gevent = sys.modules.get("gevent.monkey")
    assert gevent is None or not gevent.is_module_patched("threading")
