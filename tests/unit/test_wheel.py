"""The wheel alone, in an empty environment: it lays the playbook out and plans with it."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from rocminfra.playbook_files import PARTS

ROOT = Path(__file__).parents[2]


def run(*command: str | Path, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**clean_environment(), **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


def clean_environment() -> Mapping[str, str]:
    """The environment without anything that leads back to the checkout."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ROCMINFRA_", "PYTHON")) and name != "VIRTUAL_ENV"
    }


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment that holds the wheel and what it asks for."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    run(
        *(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-compile"),
        *("--disable-pip-version-check", wheel),
        cwd=folder,
    )
    return folder / "bin"


def test_the_wheel_holds_the_whole_playbook(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    tracked = run("git", "ls-files", *PARTS, cwd=ROOT).stdout.split()
    assert tracked
    missing = [name for name in tracked if f"rocminfra/playbook/{name}" not in names]
    assert missing == []
    assert "rocminfra/runner/schemas/plan.json" in names
    assert "rocminfra/py.typed" in names
    assert not any(
        name.startswith(("tests/", "rocminfra/playbook/inventory/hosts.yaml")) for name in names
    )


def test_from_the_wheel_alone_init_and_a_dry_run_work(installed: Path, tmp_path: Path) -> None:
    rocminfra, pyinfra = installed / "rocminfra", installed / "pyinfra"
    run(rocminfra, "init", "hosts", cwd=tmp_path)
    folder = tmp_path / "hosts"
    assert all((folder / part).exists() for part in PARTS)
    (folder / "inventory" / "hosts.yaml").write_text('hosts:\n  "@local":\n')
    # A task that asks little of the machine; the whole playbook needs a droplet.
    (folder / "tasks" / "check.py").write_text(
        "from pyinfra.operations import files\n"
        "from rocminfra.operations.host_settings import current\n"
        "from rocminfra.rendering import render\n"
        "settings = current()\n"
        'render("sysctl.conf.j2", {"numa_balancing": "0"})\n'
        f'files.file(name=f"port {{settings.vllm.port}}", path="{tmp_path}/never")\n'
    )
    planned = run(rocminfra, "plan", "tasks/check.py", cwd=folder)
    assert planned.stdout == "@local: 1 of 1 operations would change something\n  + port 8000\n"
    dry = run(
        *(pyinfra, "--dry", "inventory/amd_cloud.py", "tasks/check.py"),
        *("--data", "vllm.port=8001"),
        cwd=folder,
    )
    assert "port 8001" in dry.stderr
    assert not (tmp_path / "never").exists()


def test_templates_edited_in_ones_own_folder_are_the_ones_used(
    installed: Path, tmp_path: Path
) -> None:
    run(installed / "rocminfra", "init", ".", cwd=tmp_path)
    template = tmp_path / "templates" / "sysctl.conf.j2"
    template.write_text("mine {{ numa_balancing }}\n")
    values = {"numa_balancing": "0"}
    code = f"from rocminfra.rendering import render; print(render('sysctl.conf.j2', {values}))"
    assert run(installed / "python", "-c", code, cwd=tmp_path).stdout.strip() == "mine 0"


def test_without_a_playbook_of_ones_own_the_shipped_one_is_used(
    installed: Path, tmp_path: Path
) -> None:
    code = "from rocminfra.playbook_files import playbook_root; print(playbook_root())"
    root = Path(run(installed / "python", "-c", code, cwd=tmp_path).stdout.strip())
    assert root.name == "playbook"
    assert installed.parent in root.parents
