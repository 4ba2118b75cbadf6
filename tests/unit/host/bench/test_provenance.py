"""What was measured: found where it is, and what is unknown is null and said."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bench_fakes import FakeEngine, job, scenario

from rocminfra.host.bench import amd_smi, driver_files, provenance
from rocminfra.host.bench.provenance import collect
from rocminfra.planning.bench.job_record import JobRecord
from rocminfra.planning.bench.outcome_records import Provenance
from rocminfra.planning.bench.records import as_json, read

IMAGE_ID = f"sha256:{'a' * 64}"
DIGEST = f"docker.io/vllm/vllm-openai-rocm@sha256:{'b' * 64}"
ARGUMENTS = ["Qwen/Qwen2-VL-72B-Instruct", "--max-num-seqs=64"]
CONTAINER = {
    "Image": IMAGE_ID,
    "Config": {"Image": "docker.io/vllm/vllm-openai-rocm:v0.20.1", "Cmd": ARGUMENTS},
}
CARD = {
    "vendor": "0x1002",
    "device": "0x74b5",
    "mem_info_vram_total": str(196_288 << 20),
    "vbios_version": "113-M3000100-103",
    "fw_version/mec_fw_version": "0x000000ac",
    "fw_version/vce_fw_version": "0x00000000",
    "hwmon/hwmon4/power1_cap": "750000000",
    "pp_dpm_sclk": "0: 132Mhz *\n1: 2100Mhz",
    "pp_dpm_mclk": "0: 900Mhz\n1: 1300Mhz *",
}
DOCKER = """#!/bin/sh
case "$*" in
  "inspect --type container vllm") echo '[CONTAINER]' ;;
  "image inspect IMAGE_ID") echo '[{"RepoDigests": DIGESTS}]' ;;
  *) echo '[]'; exit 1 ;;
esac
"""


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host with nothing on it."""
    monkeypatch.setattr(amd_smi, "AMD_SMI", str(tmp_path / "amd-smi"))
    monkeypatch.setattr(driver_files, "DRM", tmp_path / "drm")
    for name in ("ROCM_VERSION", "DRIVER_VERSION", "OS_RELEASE"):
        monkeypatch.setattr(provenance, name, tmp_path / name)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    return tmp_path


@pytest.fixture
def asked(host: Path, engine: FakeEngine) -> Callable[..., Provenance]:
    """Provenance of a job with these changes, as it is read back."""

    def of(**changes: Any) -> Provenance:
        wanted = scenario([{"profile": "throughput"}])
        record: JobRecord = job(host, host / "guidellm", engine, wanted).record
        found = collect(replace(record, **changes))
        return read(Provenance, json.loads(json.dumps(as_json(found))), "run.json")

    return of


def docker(host: Path, digests: list[str]) -> None:
    cat = "/bin/cat"
    text = DOCKER.replace("CONTAINER", json.dumps(CONTAINER)).replace("IMAGE_ID", IMAGE_ID)
    program = host / "bin" / "docker"
    program.write_text(text.replace("DIGESTS", json.dumps(digests)).replace("cat", cat))
    program.chmod(0o755)


def card(host: Path) -> None:
    device = host / "pci" / "0000:83:00.0"
    for name, text in CARD.items():
        (device / name).parent.mkdir(parents=True, exist_ok=True)
        (device / name).write_text(text + "\n")
    (host / "drm" / "renderD128").mkdir(parents=True)
    (host / "drm" / "renderD128" / "device").symlink_to(device)


def test_a_host_that_says_nothing_gives_nulls_with_their_reasons(
    asked: Callable[..., Provenance],
) -> None:
    found = asked(container=None, software=None, tokenizer="/nowhere")
    names = ("image", "image_id", "image_digest", "engine_arguments", "rocm")
    assert [getattr(found, name) for name in names] == [None] * 5
    assert (found.model_revision, found.model_files, found.gpus) == (None, None, ())
    assert found.unknown is not None
    assert set(found.unknown) == {
        *names,
        *("gpus", "model_revision", "model_files"),
        *("rocminfra.version", "rocminfra.commit", "rocminfra.settings_sha256"),
    }
    assert found.unknown["image"] == "the engine's container is not on this host"
    assert found.engine == "0.20.1+fake"
    assert found.kernel


def test_image_arguments_and_digest_are_those_of_the_running_container(
    asked: Callable[..., Provenance], host: Path
) -> None:
    docker(host, [DIGEST])
    found = asked(container="vllm")
    assert found.image == "docker.io/vllm/vllm-openai-rocm:v0.20.1"
    assert (found.image_id, found.image_digest) == (IMAGE_ID, DIGEST)
    assert found.engine_arguments == tuple(ARGUMENTS)


def test_an_image_of_an_archive_has_no_digest_and_that_is_said(
    asked: Callable[..., Provenance], host: Path
) -> None:
    docker(host, [])
    found = asked(container="vllm")
    assert found.image_digest is None
    assert "loaded from an archive" in (found.unknown or {})["image_digest"]
    missing = asked(container="another")
    assert (missing.unknown or {})["image"] == "Docker knows no another on this host"


def test_a_card_by_its_driver(asked: Callable[..., Provenance], host: Path) -> None:
    card(host)
    (host / "DRIVER_VERSION").write_text("6.12.12\n")
    (host / "ROCM_VERSION").write_text("7.2.1-81\n")
    (host / "OS_RELEASE").write_text('NAME="x"\nPRETTY_NAME="Ubuntu 24.04.3 LTS"\n')
    found = asked()
    assert found.gpus == (
        {
            "name": None,
            "driver": "6.12.12",
            "device": "0x74b5",
            "firmware": {"mec": "0x000000ac"},
            "vbios": "113-M3000100-103",
            "power_cap_w": 750.0,
            "gfx_clock_max_mhz": 2100.0,
            "memory_clock_max_mhz": 1300.0,
        },
    )
    assert (found.rocm, found.system) == ("7.2.1-81", "Ubuntu 24.04.3 LTS")
    assert set(found.unknown or {}) & {"rocm", "gpus", "gpus.name"} == {"gpus.name"}


def test_a_copied_folders_hashes_are_those_of_its_copy(
    asked: Callable[..., Provenance], host: Path
) -> None:
    folder = host / "toy"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    with (folder / "model.safetensors").open("wb") as stream:
        stream.truncate(provenance.MOST_HASHED_BYTES + 1)
    found = asked(tokenizer=str(folder))
    files = found.model_files or {}
    assert files["config.json"]["sha256"] == hashlib.sha256(b"{}").hexdigest()
    assert files["model.safetensors"] == {
        "bytes": provenance.MOST_HASHED_BYTES + 1,
        "sha256": None,
    }
    assert "too large" in (found.unknown or {})["model_files.sha256"]
    (folder / ".rocminfra-model").write_text(f"{'c' * 64} 5 1700000000 model.safetensors\nx\n")
    again = asked(tokenizer=str(folder))
    assert (again.model_files or {})["model.safetensors"]["sha256"] == "c" * 64
    assert "model_files.sha256" not in (again.unknown or {})
    assert again.model_revision is None


def test_a_model_of_the_hub_has_a_commit_and_the_names_of_its_blobs(
    asked: Callable[..., Provenance], host: Path
) -> None:
    hub = host / "hub" / "models--o--m"
    commit, blob = "d" * 40, "e" * 64
    (hub / "blobs").mkdir(parents=True)
    with (hub / "blobs" / blob).open("wb") as stream:
        stream.truncate(provenance.MOST_HASHED_BYTES + 1)
    snapshot = hub / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").symlink_to(hub / "blobs" / blob)
    (hub / "refs").mkdir()
    (hub / "refs" / "main").write_text(commit)
    environment = {"HF_HOME": str(host)}
    found = asked(tokenizer="o/m", environment=environment)
    assert found.model_revision == commit
    assert (found.model_files or {})["model.safetensors"]["sha256"] == blob
    by_commit = asked(tokenizer="o/m", environment=environment, model_revision=commit)
    assert by_commit.model_revision == commit
    gone = asked(tokenizer="o/other", environment=environment)
    assert (gone.model_revision, gone.model_files) == (None, None)
    assert "cannot be read here" in (gone.unknown or {})["model_revision"]
