"""What a host, Docker, apt or vLLM would refuse minutes later is refused when it is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocminfra.runner.cli import run
from rocminfra.settings import SettingsError, load_settings
from rocminfra.settings.foreign_names import image_reference, visible_gpus
from rocminfra.settings.located_yaml import parse_yaml, read_value
from rocminfra.settings.problems import Problem


def problems(data: dict[str, Any]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(data)
    return [str(problem) for problem in caught.value.problems]


DIGEST = "sha256:" + 64 * "a"


@pytest.mark.parametrize(
    "image",
    [
        *("vllm", "vllm/vllm-openai-rocm:v0.20.1", "localhost/x", "localhost:5000/x:1"),
        *("registry.example.org/team/vllm-rocm:2026-01", "REGISTRY.example.org:443/a/b/c"),
        *(
            f"vllm/vllm@{DIGEST}",
            f"vllm/vllm:v1@{DIGEST}",
            DIGEST,
            "a__b/c--d:X_y.Z",
            "[::1]:5000/x",
        ),
    ],
)
def test_an_image_is_what_docker_takes(image: str) -> None:
    assert image_reference(image) == image


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ("VLLM/vllm", "no capital letters"),
        ("https://registry.example.org/x:1", "not a URL"),
        ("vllm/vllm ", "'vllm/vllm '"),
        *(
            (image, "must be an image")
            for image in ("a b", "-x", "x:a:b", "x@sha256:12", "x:", "/x")
        ),
        *((image, "must be an image") for image in ("  ", "x//y", "x:tág", "x@md5:1")),
    ],
)
def test_an_image_that_docker_does_not_take(image: str, words: str) -> None:
    (problem,) = problems({"engine.image": image})
    assert problem.startswith("engine.image: ")
    assert words in problem


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("model.name", " x ", "without blanks around it and without invisible signs, not ' x '"),
        ("model.name", "   ", "without blanks around it"),
        ("model.name", "a\u200bb", r"not 'a\u200bb'"),
        ("model.name", "a\tb", r"not 'a\tb'"),
        ("model.name", "--port=1", "must not begin with '-'"),
        ("model.revision", "a b", "must be a commit, a tag or a branch, not 'a b'"),
        ("model.revision", "-x", "must be a commit"),
        ("model.revision", "../x", "must be a commit"),
        ("docker.package", "docker.io --purge", "must be a package such as docker.io"),
        ("docker.package", "Docker", "must be a package"),
        ("storage.mount_options", ["no atime"], "without blanks, such as noatime"),
        ("storage.mount_options", ["nofail,noatime"], "one option an item: [nofail, noatime]"),
        ("storage.mount_options", ["nofail", "ro"], "must not be ro, with which nothing can be"),
        ("storage.mount_options", ["noauto"], "not mounted after a restart of the host"),
        ("storage.mount_options", ["noexec"], "cannot load what its compilers leave"),
        ("engine.image", 64 * "a", f"that it is an image's id: {DIGEST}"),
        ("storage.device", "Auto", "must be auto, or a path such as /dev/vdc"),
        ("storage.device", "/dev/../etc", "must be auto, or a path"),
        ("storage.device", "/dev/vdc/", "must be auto, or a path"),
        ("storage.label", "-x", "must be 1 to 12 letters"),
        ("vllm.shm_size", "16GB", "must be a size such as 16g (b, k, m or g), not '16GB'"),
        ("vllm.shm_size", "0g", "must be a size"),
        ("bench.guidellm_version", "\u0660.\u0668.\u0661", "a version of three numbers"),
        ("bench.guidellm_version", "01.8.1", "a version of three numbers"),
        ("bench.torch_index_url", "pypi", "must be a URL such as https://download.example.org"),
        ("bench.torch_index_url", "https://u:p@h/simple", "no user name or password"),
        ("bench.torch_index_url", "--index-url x", "must be a URL"),
        ("huggingface.endpoint", "https://h:99999", "must be a URL such as https://hub.example"),
        ("huggingface.endpoint", "https://h:abc", "must be a URL"),
        ("huggingface.endpoint", "https://h/?x", "without '?' and '#'"),
        ("huggingface.endpoint", "https://h\t/x", "must be a URL"),
        ("huggingface.endpoint", "https://h..x", "must be a URL"),
        ("engine.ready_timeout_s", 10**22, "less than or equal to 31536000, not 1000"),
        ("engine.start_limit_interval_s", 99_999_999_999, "less than or equal to 31536000"),
        ("vllm.max_model_len", 10**22, "less than or equal to 1000000000"),
        ("cost.usd_per_hour", 1e9, "less than or equal to 1000000"),
        ("vllm.gpu_memory_utilization", 90, "less than or equal to 1, not 90"),
        ("vllm.gpu_memory_utilization", "92%", 'not the text "92%"; 92% is 0.92'),
        ("storage.expected_size_gib", "5TB", "; write the number alone, in the unit of the key"),
        ("engine.ready_timeout_s", "30 min", "; write the number alone"),
        ("engine.environment", {"HIP_VISIBLE_DEVICES": "all"}, "by their positions from 0 on"),
        ("engine.environment", {"ROCR_VISIBLE_DEVICES": "0;1"}, "not '0;1'"),
    ],
)
def test_what_others_would_refuse_later(key: str, value: Any, words: str) -> None:
    (problem,) = problems({key: value})
    assert problem.startswith(f"{key}: ")
    assert words in problem


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("/mnt//models", "/mnt/models"),
        ("//mnt/models/", "/mnt/models"),
        ("/mnt/./models/.", "/mnt/models"),
    ],
)
def test_a_folder_is_one_however_it_is_written(typed: str, meant: str) -> None:
    assert load_settings({"storage.mount_point": typed}).storage.mount_point == meant
    home = load_settings({"huggingface.home": f"{typed}/hf//"}).huggingface.home
    assert home == f"{meant}/hf"


@pytest.mark.parametrize(
    "mount_point",
    [
        *(
            "//etc",
            "/./etc",
            "/etc/x",
            "/usr/lib/x",
            "/lib",
            "/boot/efi",
            "/run/x",
            "/proc/x",
            "/sys",
        ),
        *("/var/lib", "/var/log", "/opt", "/opt/rocm", "/dev/shm", "/bin"),
    ],
)
def test_no_way_of_writing_leads_over_the_system(mount_point: str) -> None:
    below = {"huggingface.home": f"{mount_point}/h", "docker.data_root": f"{mount_point}/d"}
    found = problems({"storage.mount_point": mount_point, **below})
    assert any("belongs to the system" in problem for problem in found)


@pytest.mark.parametrize("path", ["/mnt/models ", "/mnt/ models", "/mnt/a\tb", "/mnt/a\u200bb"])
def test_a_path_is_visible(path: str) -> None:
    assert any(
        "storage.mount_point" in problem for problem in problems({"storage.mount_point": path})
    )


@pytest.mark.parametrize(
    ("home", "data_root", "words"),
    [
        (
            "x",
            "x",
            "huggingface.home (/mnt/models/x) must not share the folder of docker.data_root",
        ),
        ("x", "x/y", "docker.data_root (/mnt/models/x/y) must not share the folder of huggingface"),
        ("h", "h/../h2/./", "without '..'"),
        ("h", "/h//", "must not share the folder of"),
        ("caches", "d", "the compile caches (/mnt/models/caches) must not share the folder of"),
        ("h", "models/d", "must not share the folder of copied models"),
        ("a:b", "d", "must have no colon"),
    ],
)
def test_caches_have_folders_of_their_own(home: str, data_root: str, words: str) -> None:
    data = {
        "huggingface.home": f"/mnt/models/{home}",
        "docker.data_root": f"/mnt/models/{data_root}",
    }
    assert any(words in problem for problem in problems(data))
    # A name that begins like another is another.
    load_settings({"huggingface.home": "/mnt/models/docker2"})


def test_an_engine_sees_as_many_gpus_as_it_uses() -> None:
    one = {"engine.environment": {"HIP_VISIBLE_DEVICES": "0"}}
    assert load_settings(one).vllm.tensor_parallel_size == 1
    (problem,) = problems({**one, "vllm.tensor_parallel_size": 2})
    assert (
        "tensor_parallel_size is 2, and HIP_VISIBLE_DEVICES in engine.environment leaves 1"
        in problem
    )
    (problem,) = problems({"engine.environment": {"ROCR_VISIBLE_DEVICES": "-1"}})
    assert "leaves 0 GPUs" in problem
    assert visible_gpus({"ROCR_VISIBLE_DEVICES": "0,1,1", "HIP_VISIBLE_DEVICES": "0,1,2"}) == (
        *("ROCR_VISIBLE_DEVICES", 2),
    )
    assert visible_gpus({"ROCR_VISIBLE_DEVICES": "GPU-1a,GPU-2b"}) == ("ROCR_VISIBLE_DEVICES", 2)
    assert visible_gpus({"OTHER": "0"}) is None
    # A list ends where it names no GPU, and HIP numbers what ROCr has left.
    assert visible_gpus({"ROCR_VISIBLE_DEVICES": "0,-1,1"}) == ("ROCR_VISIBLE_DEVICES", 1)
    assert visible_gpus({"HIP_VISIBLE_DEVICES": "0,,1"}) == ("HIP_VISIBLE_DEVICES", 1)
    both = {"ROCR_VISIBLE_DEVICES": "2,3", "HIP_VISIBLE_DEVICES": "2,3"}
    assert visible_gpus(both) == ("HIP_VISIBLE_DEVICES", 0)
    # ROCr takes an empty list for none, HIP for nothing said.
    assert visible_gpus({"ROCR_VISIBLE_DEVICES": " "}) == ("ROCR_VISIBLE_DEVICES", 0)
    assert visible_gpus({"HIP_VISIBLE_DEVICES": ""}) is None
    (problem,) = problems({"engine.environment": {"HIP_VISIBLE_DEVICES": "0;1"}})
    assert problem.startswith("engine.environment: HIP_VISIBLE_DEVICES must name GPUs")


def yaml_problem(text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        parse_yaml(text, "h.yaml")
    return str(caught.value)


@pytest.mark.parametrize("text", ["[" * 20_000, "{a: " * 3_000, "a: " + "[" * 80 + "]" * 80])
def test_a_file_nested_too_deeply_is_no_traceback(text: str) -> None:
    assert any(words in yaml_problem(text) for words in ("nested too deeply", "holds too much"))
    with pytest.raises(ValueError, match=r"nested too deeply|holds too much"):
        read_value(text.removeprefix("a: "), None)


def test_anchors_that_mean_billions_of_values_do_not_hang() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for level in range(1, 10):
        lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]")
    assert "holds too much" in yaml_problem("\n".join(lines))


@given(
    st.dictionaries(
        st.sampled_from(["model.name", "engine.image", "storage.mount_point"]), st.text()
    )
)
def test_any_text_is_a_value_or_a_problem(data: dict[str, Any]) -> None:
    try:
        load_settings(data)
    except SettingsError as error:
        for problem in error.problems:
            assert isinstance(problem, Problem)
            assert str(problem).isprintable() or any("\n" in text for text in data.values())


def test_one_hosts_file_is_named_in_one_way_for_every_verb(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "hosts.yaml").write_text("hosts:\n  a: {vllm: {max_model_len: 2048}}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ROCMINFRA_HOSTS_FILE", "~/hosts.yaml")
    assert run(["capacity", "--host", "a", "--json"]) in (0, 6)
    assert json.loads(capsys.readouterr().out)
    monkeypatch.setenv("ROCMINFRA_HOSTS_FILE", "~nobody-at-all/hosts.yaml")
    assert run(["capacity", "--host", "a"]) == 3
    assert "there is no user nobody-at-all" in "".join(capsys.readouterr())
