"""What a droplet takes over from the machine: apt, certificates, pip, proxies."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest

from rocminfra.failure import FailedError
from rocminfra.lab import machine

_PIP = """\
:env:.cert='/etc/ssl/certs/ca-certificates.crt'
:env:.find-links='/wheels/a /wheels/b'
:env:.cache-dir='/somewhere'
global.extra-index-url='file:///idx/one\\nfile:///idx/two'
global.find-links='/old'
install.no-binary=':none:'
site.unknown='x'
garbage
global.user='true'
"""


def test_pip_settings_of_the_environment_win() -> None:
    settings = machine.parse_pip_settings(_PIP)
    assert settings["find-links"] == "/wheels/a /wheels/b"
    assert settings["extra-index-url"] == "file:///idx/one\nfile:///idx/two"
    assert settings["no-binary"] == ":none:"


def test_pip_settings_of_the_user_alone_stay_here() -> None:
    settings = machine.parse_pip_settings(_PIP)
    assert "cache-dir" not in settings
    assert "user" not in settings
    assert "unknown" not in settings


def test_pip_conf_is_read_back_as_it_was_meant() -> None:
    text = machine.pip_conf(machine.parse_pip_settings(_PIP), "/cache")
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    assert parser["global"]["cache-dir"] == "/cache"
    assert parser["global"]["extra-index-url"].split() == ["file:///idx/one", "file:///idx/two"]
    assert parser["global"]["cert"] == "/etc/ssl/certs/ca-certificates.crt"


def test_local_paths_are_those_that_exist_and_are_not_certificates(tmp_path: Path) -> None:
    for name in ("wheels/old", "index/simple"):
        (tmp_path / name).mkdir(parents=True)
    settings = {
        "find-links": f"{tmp_path}/wheels /not/there {tmp_path}/wheels/old",
        # Its pages link to files beside them.
        "index-url": f"file://{tmp_path}/index/simple",
        "cert": "/etc/ssl/certs/ca-certificates.crt",
        "timeout": "10",
    }
    assert machine.local_paths(settings) == (tmp_path / "index", tmp_path / "wheels")


def test_an_index_in_a_folder_of_the_system_does_not_lend_that_folder() -> None:
    assert machine.local_paths({"index-url": "file:///usr/bin"}) == (Path("/usr/bin"),)


def test_apt_sources_come_with_the_keys_that_they_name(tmp_path: Path) -> None:
    key = tmp_path / "elsewhere.gpg"
    key.write_bytes(b"key")
    etc = tmp_path / "apt"
    (etc / "sources.list.d").mkdir(parents=True)
    (etc / "keyrings").mkdir()
    (etc / "keyrings" / "a.asc").write_bytes(b"a")
    (etc / "sources.list.d" / "one.sources").write_text(f"Types: deb\nSigned-By: {key}\n")
    (etc / "sources.list.d" / "old.list.disabled").write_text("deb http://203.0.113.1/ x main\n")
    found = machine.apt_files(etc)
    assert found[str(key)] == b"key"
    assert found["/etc/apt/keyrings/a.asc"] == b"a"
    assert "/etc/apt/sources.list.d/one.sources" in found
    assert "/etc/apt/sources.list.d/old.list.disabled" not in found


def test_one_line_sources_name_keys_too(tmp_path: Path) -> None:
    key = tmp_path / "k.gpg"
    key.write_bytes(b"key")
    (tmp_path / "sources.list").write_text(f"deb [signed-by={key} arch=amd64] http://a/ b main\n")
    assert machine.apt_files(tmp_path)[str(key)] == b"key"


@pytest.mark.parametrize("text", ["ID=fedora\nVERSION_CODENAME=x\n", "ID=debian\n"])
def test_other_distributions_are_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "os-release"
    file.write_text(text)
    with pytest.raises(FailedError, match="needs Debian or Ubuntu"):
        machine.release(file)


def test_derived_distribution_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "os-release"
    file.write_text('ID=mint\nID_LIKE="ubuntu debian"\nVERSION_CODENAME="noble"\n')
    assert machine.release(file).codename == "noble"


_TARGETS = """\
cdrom:[Ubuntu]/ noble main
http://203.0.113.7/ubuntu/ noble-updates main
http://203.0.113.7/ubuntu/ noble restricted
http://203.0.113.7/ubuntu/ noble universe
http://203.0.113.7/ubuntu/ noble main
"""
_OTHERS = "https://203.0.113.9/tools noble main Tools\n"


def test_the_mirror_is_what_apt_says() -> None:
    found = machine.parse_mirror(_TARGETS, "noble")
    assert found == machine.Mirror("http://203.0.113.7/ubuntu", ("main", "universe"))


def test_the_distributions_own_archive_comes_before_other_peoples() -> None:
    known = _TARGETS.replace(" main\n", " main Ubuntu\n")
    assert machine.parse_mirror(_OTHERS + known, "noble").uri == "http://203.0.113.7/ubuntu"


@pytest.mark.parametrize("text", ["", "http://203.0.113.7/u x main\n", "cdrom:[a]/ noble main\n"])
def test_a_distribution_without_a_source_is_refused(text: str) -> None:
    with pytest.raises(FailedError, match="no source for noble"):
        machine.parse_mirror(text, "noble")


def test_proxies_are_taken_over_and_nothing_else() -> None:
    environ = {"https_proxy": "http://203.0.113.1:3128", "NO_PROXY": "a", "HOME": "/root"}
    assert machine.proxies(environ) == {
        "https_proxy": "http://203.0.113.1:3128",
        "NO_PROXY": "a",
    }
