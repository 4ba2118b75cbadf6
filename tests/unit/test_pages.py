"""The pages for contributors are true: files exist, the picture and the example are the code's."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_every_path_on_the_architecture_page_exists() -> None:
    named = re.findall(
        r"`((?:rocminfra|tasks|templates|benchmarks|inventory)/[^`]*)`", ARCHITECTURE
    )
    assert len(named) > 40
    # The wheel has it.
    named.remove("rocminfra/playbook/")
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_rooms_of_the_page_are_those_of_the_package() -> None:
    rooms = {
        f"rocminfra/{file.parent.relative_to(ROOT / 'rocminfra')}/"
        for file in (ROOT / "rocminfra").rglob("*.py")
        if file.parent != ROOT / "rocminfra" and "lab" not in file.parts
    }
    # Folders that only hold rooms.
    rooms -= {"rocminfra/planning/", "rocminfra/host/", "rocminfra/runner/"}
    assert sorted(room for room in rooms if f"`{room}`" not in ARCHITECTURE) == []


def test_the_picture_is_drawn_from_todays_imports() -> None:
    drawn = subprocess.run(
        [sys.executable, str(ROOT / "docs/rooms.py")], capture_output=True, text=True, check=True
    )
    assert drawn.stdout.strip() in ARCHITECTURE, "python3 docs/rooms.py --write"


def test_the_example_resource_is_the_code_that_runs() -> None:
    """Each block of "Add a resource" names its file in its first line and stands there."""
    section = CONTRIBUTING.partition("## Add a resource")[2].partition("\n## ")[0]
    blocks = re.findall(r"```python\n# (\S+)\n(.*?)```", section, flags=re.DOTALL)
    assert [Path(name).parts[0] for name, _ in blocks] == [
        "rocminfra",
        "tests",
        "rocminfra",
        "tasks",
    ]
    for name, code in blocks:
        source = (ROOT / name).read_text(encoding="utf-8")
        for part in code.split("    # …\n"):
            assert part.strip() in source, f"{name} has changed; so must CONTRIBUTING.md"


def test_no_file_is_too_long_to_read() -> None:
    long = {
        str(file.relative_to(ROOT)): lines
        for folder in ("rocminfra", "tasks", "tests", "docs", "inventory")
        for file in (ROOT / folder).rglob("*.py")
        if (lines := len(file.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert long == {}


def test_every_fact_module_has_a_test_file_of_its_name() -> None:
    modules = {file.stem for file in (ROOT / "rocminfra/facts").glob("*.py")} - {"__init__"}
    tests = {file.stem.removeprefix("test_") for file in (ROOT / "tests/unit/facts").glob("*.py")}
    assert sorted(modules - tests) == []
