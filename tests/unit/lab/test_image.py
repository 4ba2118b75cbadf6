"""The engine image's archive, from a root made of a few files."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from rocminfra.failure import FailedError
from rocminfra.lab import image
from rocminfra.lab.elf import library_closure, read_links
from rocminfra.lab.image_files import APP_FOLDER, sources
from rocminfra.lab.rooted import link_chain

PACKAGE = Path(image.__file__).parents[1]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Shaped like a Debian root: merged /usr, alternatives as absolute links, a render group."""
    root = tmp_path / "root"
    for folder in ("usr/bin", "usr/lib/python3.11/test", "usr/lib64", "etc/alternatives"):
        (root / folder).mkdir(parents=True)
    for name in ("bin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    (root / "usr/bin/python3.11").write_bytes(b"#!/bin/sh\n")
    (root / "usr/bin/python3").symlink_to("python3.11")
    (root / "usr/bin/which").symlink_to("/etc/alternatives/which")
    (root / "etc/alternatives/which").symlink_to("/usr/bin/which.debianutils")
    (root / "usr/bin/which.debianutils").write_text("#!/bin/sh\n")
    (root / "usr/lib/python3.11/os.py").write_text("pass\n")
    (root / "usr/lib/python3.11/test/big.py").write_text("pass\n")
    compiled = root / "usr/lib/python3.11/__pycache__/os.cpython-311.pyc"
    compiled.parent.mkdir()
    compiled.write_bytes(b"MAGC" + bytes(4) + b"timesize" + b"code")
    (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\nvideo:x:44:\nrender:x:104:\n")
    (root / "var/lib/dpkg").mkdir(parents=True)
    (root / "var/lib/dpkg/status").write_text("Package: python3\n")
    return root


def read(archive: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, tarfile.TarInfo], bytes]:
    """Manifest, configuration, members and bytes of the layer."""
    with tarfile.open(archive) as tar:
        names = tar.getnames()
        assert names[0] == "manifest.json"
        (manifest,) = json.load(tar.extractfile("manifest.json"))  # type: ignore[arg-type]
        assert names[1:] == [manifest["Config"], *manifest["Layers"]]
        config = json.load(tar.extractfile(manifest["Config"]))  # type: ignore[arg-type]
        layer = tar.extractfile(manifest["Layers"][0]).read()  # type: ignore[union-attr]
    with tarfile.open(fileobj=BytesIO(layer)) as tar:
        members = {member.name: member for member in tar.getmembers()}
    return manifest, config, members, layer


def content(layer: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=BytesIO(layer)) as tar:
        file = tar.extractfile(name)
        assert file is not None
        return file.read()


def test_the_archive_is_what_docker_save_writes(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "cache" / "engine-image.tar"
    image_id = image.build(root, out)
    manifest, config, _, layer = read(out)
    assert manifest["RepoTags"] == ["vllm/vllm-openai-rocm:v0.20.1"]
    assert f"sha256:{manifest['Config'].removesuffix('.json')}" == image_id
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    assert config["config"]["Entrypoint"] == ["vllm", "serve"]
    assert "HIP_FORCE_DEV_KERNARG=1" in config["config"]["Env"]
    assert not any(line.startswith("VLLM_") for line in config["config"]["Env"])
    assert sorted(path.name for path in out.parent.iterdir()) == [out.name, f"{out.name}.key"]


def test_the_layer_has_what_it_needs_and_no_more(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "engine-image.tar"
    image.build(root, out)
    _, _, members, layer = read(out)
    assert members["usr/bin/python3"].linkname == "python3.11"
    for name in ("lib", "usr/bin/which.debianutils", "etc/alternatives/which", "tmp"):
        assert name in members
    assert "usr/lib/python3.11/os.py" in members
    assert "usr/lib/python3.11/test/big.py" not in members
    assert members["usr/local/bin/vllm"].mode == 0o755
    assert members["tmp"].mode == 0o1777
    assert b"render" not in content(layer, "etc/group")
    assert b"video" in content(layer, "etc/group")
    compiled = content(layer, "usr/lib/python3.11/__pycache__/os.cpython-311.pyc")
    assert compiled == b"MAGC" + b"\x01\0\0\0" + bytes(8) + b"code"
    names = list(members)
    assert names == sorted(names)
    assert {(member.mtime, member.uid, member.gid) for member in members.values()} == {(0, 0, 0)}
    # A folder comes before what is in it.
    assert all(os.path.dirname(name) in {*names, ""} for name in names)


def test_the_same_sources_give_the_same_archive_and_are_not_packed_twice(
    root: Path, tmp_path: Path
) -> None:
    one, two = tmp_path / "one.tar", tmp_path / "two.tar"
    assert image.build(root, one) == image.build(root, two)
    assert one.read_bytes() == two.read_bytes()
    before = one.stat()
    image.build(root, one)
    after = one.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


@pytest.mark.parametrize("damage", ["status", "key", "archive"])
def test_it_is_packed_again_when_something_changed(damage: str, root: Path, tmp_path: Path) -> None:
    out = tmp_path / "engine-image.tar"
    image.build(root, out)
    before = out.stat().st_ino
    holder = out.rename(tmp_path / "holder.tar")  # keeps the old inode from being used again
    if damage != "archive":
        os.link(holder, out)
    if damage == "status":
        (root / "var/lib/dpkg/status").write_text("Package: python3\nVersion: 2\n")
    if damage == "key":
        (tmp_path / "engine-image.tar.key").write_text("{")
    image.build(root, out)
    assert out.stat().st_ino != before


@pytest.mark.parametrize(
    ("missing", "words"),
    [("usr/bin/python3", "no usr/bin/python3"), ("var/lib/dpkg/status", "not a Debian or Ubuntu")],
)
def test_a_root_that_will_not_do_is_refused_and_nothing_is_left(
    missing: str, words: str, root: Path, tmp_path: Path
) -> None:
    (root / missing).unlink()
    out = tmp_path / "cache" / "engine-image.tar"
    with pytest.raises(FailedError, match=words):
        image.build(root, out)
    assert not out.parent.exists() or not list(out.parent.iterdir())


def test_the_simulator_runs_from_the_files_of_the_image_alone(tmp_path: Path) -> None:
    """Nothing that it imports is missing from the image, and nothing else is needed."""
    for name, source in sources().items():
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import rocminfra.lab.engine.serve as serve\n"
        "print(serve.__file__)\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    where, modules = done.stdout.splitlines()
    assert where.startswith(str(tmp_path))
    third_party = {"pydantic", "yaml", "jinja2", "pyinfra", "httpx", "rich", "click"}
    assert not third_party & set(modules.split())
    carried = {path.name for path in (PACKAGE / "planning/engine").glob("*.py")}
    assert {f"rocminfra/planning/engine/{name}" for name in carried} <= set(sources())
    assert APP_FOLDER.startswith("usr/local/")


def test_a_program_brings_its_libraries_and_its_loader() -> None:
    program = Path("/bin/ls").resolve()
    links = read_links(program)
    assert links is not None
    assert links.interpreter is not None
    names = {path.name for path in library_closure(Path("/"), [program])}
    assert set(links.needed) <= names
    assert Path(links.interpreter).name in names
    assert read_links(Path(__file__)) is None


def test_links_stay_inside_the_root(root: Path) -> None:
    chain = link_chain(root, root / "bin/which")
    assert [str(path.relative_to(root)) for path in chain] == [
        "usr/bin/which",
        "etc/alternatives/which",
        "usr/bin/which.debianutils",
    ]
    (root / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="too many levels"):
        link_chain(root, root / "loop")
