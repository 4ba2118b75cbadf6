"""The commented example is documentation, schema and fixture at once, so it must be true."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rocminfra.inventory.hosts_file import CONNECTION_KEYS, read_hosts_file
from rocminfra.settings import Settings, known_keys, load_settings
from rocminfra.settings.located_yaml import Located, read_yaml

EXAMPLE = Path(__file__).parents[3] / "inventory" / "hosts.example.yaml"


@pytest.fixture(autouse=True)
def _no_ssh_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def example() -> Located:
    return read_yaml(EXAMPLE)


def test_it_loads_and_means_the_defaults() -> None:
    (host,) = read_hosts_file(EXAMPLE)
    assert host.data["ssh_hostname"].startswith("203.0.113.")
    assert load_settings(host.data) == Settings()


@pytest.mark.parametrize("key", known_keys())
def test_it_lists_every_setting_with_its_true_default(key: str, example: Located) -> None:
    listed: Any = example.data["defaults"]
    default: Any = Settings().model_dump()
    for part in key.split("."):
        assert part in listed, f"{key} is missing in {EXAMPLE.name}"
        listed, default = listed[part], default[part]
    assert listed == default
    assert type(listed) is type(default)


@pytest.mark.parametrize("key", known_keys())
def test_it_says_what_every_setting_means(key: str, example: Located) -> None:
    line = example.lines[("defaults", *key.split("."))]
    text = EXAMPLE.read_text(encoding="utf-8").splitlines()[line - 1]
    obvious = {"engine.image", "engine.container_name", "vllm.port"}
    assert key in obvious or "#" in text, f"no comment beside {key}"


@pytest.mark.parametrize("key", CONNECTION_KEYS)
def test_it_lists_every_connection_key(key: str) -> None:
    assert f"{key}:" in EXAMPLE.read_text(encoding="utf-8")


def test_what_is_commented_out_works_when_it_is_not(tmp_path: Path) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    start = text.index("  # mi300x-2:")
    lines = [line.replace("  # ", "  ", 1) for line in text[start:].splitlines()]
    file = tmp_path / "hosts.yaml"
    file.write_text(text[:start] + "\n".join(lines) + "\n", encoding="utf-8")
    first, second = read_hosts_file(file)
    assert first.data["ssh_user"] == "root"
    assert (second.data["ssh_user"], second.data["_sudo"]) == ("ubuntu", True)
    assert load_settings(second.data).storage.device == "/dev/vdc"
