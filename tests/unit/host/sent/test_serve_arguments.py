"""What the vLLM of an image says of arguments; here the simulator's, found as vLLM's own is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rocminfra.host.programs import source
from rocminfra.host.sent.serve_arguments import REFUSED, UNFIT
from rocminfra.lab.image_files import APP_FOLDER, MODULES

ROOT = Path(__file__).parents[4]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """The modules that the simulator's image has under vLLM's names."""
    for name, text in MODULES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace(f"/{APP_FOLDER}", str(ROOT)))
    return tmp_path


def asked(image: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", source("serve_arguments"), *arguments],
        cwd="/",
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(image), **environ},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["/models/m", "--max_num_seqs=32", "--limit-mm-per-prompt", '{"image":4}'],
        ["/models/m", "--mm-processor-kwargs.max_pixels", "5", "--max-num-batched", "8192"],
        ["/models/m", "--chat-template=/not/mounted.jinja"],
    ],
)
def test_arguments_that_are_taken(image: Path, arguments: list[str]) -> None:
    done = asked(image, *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["m", "--swap-space=4"], "unrecognized arguments: --swap-space=4"),
        (["m", "--enforce-eager", "true"], "unrecognized arguments: true"),
        (["m", "--limit-mm", '{"image":4}', "--max=3"], "ambiguous option: --max"),
        (["m", "--tensor-parallel-size=two"], "invalid int value: 'two'"),
        (["m", "--mm-processor-kwargs=[1]"], "cannot be converted to a JSON object"),
        (["m", "--seed"], "expected one argument"),
    ],
)
def test_arguments_that_are_refused_with_the_parsers_words(
    image: Path, arguments: list[str], words: str
) -> None:
    done = asked(image, *arguments)
    assert done.returncode == REFUSED, done.stderr
    assert words in done.stderr
    assert "usage:" not in done.stderr


def test_a_misspelt_variable_is_refused_where_it_would_end_the_start(image: Path) -> None:
    variable = {"VLLM_ROCM_USE_ATIER": "1"}
    done = asked(image, "m", "--fail-on-environ-validation", **variable)
    assert done.returncode == REFUSED
    assert done.stderr == "Unknown vLLM environment variable detected: VLLM_ROCM_USE_ATIER\n"
    assert asked(image, "m", **variable).returncode == 0


@pytest.mark.parametrize("text", ["raise RuntimeError('no GPU')", "raise SystemExit(2)", ""])
def test_an_image_that_cannot_be_asked_says_so_and_is_no_obstacle(image: Path, text: str) -> None:
    (image / "vllm/entrypoints/openai/cli_args.py").write_text(text)
    done = asked(image, "m", "--swap-space=4")
    assert done.returncode == 0
    assert "cannot be asked" in done.stderr


@pytest.mark.parametrize(
    ("version", "code", "words"),
    [
        ('cuda = "12.8"\nhip = None\n', UNFIT, "built for CUDA 12.8, not for ROCm"),
        ("cuda = None\nhip = None\n", UNFIT, "built for no GPU of AMD, not for ROCm"),
        ('cuda = None\nhip = "7.0.51831"\n', 0, ""),
        ("", 0, ""),
    ],
    ids=["CUDA", "CPU", "ROCm", "unknown"],
)
@pytest.mark.parametrize("can_be_asked", [True, False])
def test_an_image_for_other_gpus_takes_no_engines_place(
    image: Path, version: str, code: int, words: str, can_be_asked: bool
) -> None:
    (image / "torch").mkdir()
    (image / "torch/__init__.py").touch()
    (image / "torch/version.py").write_text(version)
    if not can_be_asked:
        (image / "vllm/entrypoints/openai/cli_args.py").write_text("import libcuda")
    done = asked(image, "m")
    assert done.returncode == code, done.stderr
    assert words in done.stderr
