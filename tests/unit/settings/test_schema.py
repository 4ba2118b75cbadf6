"""Settings: defaults are the reference run; what cannot be meant is refused, with every reason."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyinfra.api.arguments import all_global_arguments
from pyinfra.connectors.ssh import ConnectorData

from rocminfra.settings import (
    SECTIONS,
    Problem,
    Settings,
    SettingsError,
    known_keys,
    load_settings,
    nearest_key,
)
from rocminfra.settings.pyinfra_keys import GLOBAL_ARGUMENT_KEYS, SSH_KEYS


def problems(data: dict[str, Any]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(data)
    return [str(problem) for problem in caught.value.problems]


def test_nothing_said_is_the_reference_run() -> None:
    settings = load_settings({})
    assert settings == Settings()
    assert settings.model.name == "Qwen/Qwen2-VL-72B-Instruct"
    assert settings.engine.image == "vllm/vllm-openai-rocm:v0.20.1"
    assert (settings.vllm.dtype, settings.vllm.max_num_seqs) == ("bfloat16", 64)


def test_sections_and_dotted_keys_mean_the_same() -> None:
    nested = load_settings({"vllm": {"max_num_seqs": 32}})
    dotted = load_settings({"vllm.max_num_seqs": 32})
    assert nested == dotted
    assert nested.vllm.max_num_seqs == 32


def test_a_dotted_key_wins_and_leaves_the_rest_of_its_section() -> None:
    settings = load_settings({"vllm": {"max_num_seqs": 32, "port": 8001}, "vllm.max_num_seqs": 16})
    assert (settings.vllm.max_num_seqs, settings.vllm.port) == (16, 8001)


def test_the_data_passed_in_is_left_alone() -> None:
    data = {"vllm": {"port": 8001}, "vllm.max_num_seqs": 16}
    before = copy.deepcopy(data)
    load_settings(data)
    assert data == before


def test_what_pyinfra_itself_reads_is_passed_over() -> None:
    data = {"ssh_user": "ubuntu", "ssh_port": 2222, "_sudo": True, "docker_identifier": "x"}
    assert load_settings(data) == Settings()


def test_an_empty_section_is_a_section_left_out() -> None:
    assert load_settings({"vllm": None}) == Settings()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            {"vllm.max_num_seq": 32},
            "vllm.max_num_seq: unknown key (did you mean vllm.max_num_seqs?)",
        ),
        ({"max_num_seqs": 32}, "max_num_seqs: unknown key (did you mean vllm.max_num_seqs?)"),
        ({"engine": {"port": 1}}, "engine.port: unknown key (did you mean vllm.port?)"),
        ({"vlm": {"port": 1}}, "vlm: unknown key (did you mean vllm?)"),
        ({"storge": {"owner": "bob"}}, "storge: unknown key (did you mean storage?)"),
        ({"devce": "auto"}, "devce: unknown key (did you mean storage.device?)"),
        ({"ssh_prot": 22}, "ssh_prot: unknown key (did you mean ssh_port?)"),
        ({"_sodu": True}, "_sodu: unknown key (did you mean _sudo?)"),
        ({"zzz": 1}, "zzz: unknown key"),
        ({"VLLM": {"port": 1}}, "VLLM: unknown key (did you mean vllm?)"),
        ({"VLLM.PORT": 1}, "VLLM.PORT: unknown key (did you mean vllm.port?)"),
        (
            {"vllm": {"Max_Num_Seqs": 1}},
            "vllm.Max_Num_Seqs: unknown key (did you mean vllm.max_num_seqs?)",
        ),
        ({"QQQ": 1}, "QQQ: unknown key"),
        ({"storag.device": "auto"}, "storag.device: unknown key (did you mean storage.device?)"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_one(
    data: dict[str, Any], expected: str
) -> None:
    assert problems(data) == [expected]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("vllm.port", "8000", 'not the text "8000"'),
        ("vllm.port", 8000.5, "not the number 8000.5"),
        ("vllm.port", True, "not the truth value true"),
        ("vllm.max_num_seqs", None, "not nothing (null)"),
        ("vllm.enable_chunked_prefill", 1, "not the number 1"),
        ("vllm.shm_size", 16, "a text is written in quotes"),
        ("rocm.users", "bob", 'not the text "bob"'),
        ("engine.environment", ["A"], "not a list"),
        ("model.name", {"a": 1}, "not a section with keys"),
    ],
)
def test_a_wrong_type_is_refused_and_never_coerced(key: str, value: Any, words: str) -> None:
    (problem,) = problems({key: value})
    assert problem.startswith(f"{key}: ")
    assert words in problem


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("vllm.port", 0),
        ("vllm.port", 65536),
        ("vllm.gpu_memory_utilization", 0.0),
        ("vllm.gpu_memory_utilization", 1.01),
        ("vllm.max_num_seqs", 0),
        ("vllm.dtype", "int3"),
        ("vllm.shm_size", "16 GiB"),
        ("storage.device", "vdc"),
        ("storage.device", "/dev/vd c"),
        ("storage.mount_point", "mnt/models"),
        ("storage.mount_point", "/mnt/../etc"),
        ("storage.label", "thirteen-long"),
        ("storage.mount_options", []),
        ("storage.mount_options", ["noatime\nevil"]),
        ("storage.expected_size_gib", 0.0),
        ("storage.owner", "Root"),
        ("rocm.users", ["a b"]),
        ("rocm.gpu_count", 17),
        ("engine.container_name", "x"),
        ("engine.environment", {"1A": "b"}),
        ("engine.environment", {"A": "line\nline"}),
        ("bench.run", "yesterday"),
        ("bench.guidellm_version", "latest"),
        ("cost.usd_per_hour", -0.01),
        ("model.name", ""),
        ("huggingface.token_env", "HF-TOKEN"),
    ],
)
def test_an_impossible_value_is_refused_by_its_key(key: str, value: Any) -> None:
    assert any(problem.startswith(key) for problem in problems({key: value}))


@pytest.mark.parametrize("mount_point", ["/", "/boot", "/etc", "/usr", "/var", "/home", "/root"])
def test_the_scratch_disk_is_never_mounted_over_the_system(mount_point: str) -> None:
    (problem,) = problems({"storage.mount_point": mount_point})
    assert "belongs to the system" in problem


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"vllm.max_num_batched_tokens": 32}, "must not be below max_num_seqs (64)"),
        (
            {"vllm.enable_chunked_prefill": False},
            "without chunked prefill max_num_batched_tokens (8192) must not be below",
        ),
        ({"engine.stop_timeout_s": 60}, "must be longer than the engine's own"),
        ({"engine.image_source": "archive"}, "needs image_archive"),
        ({"engine.image_archive": "/srv/a.tar"}, "only read with image_source"),
        ({"docker.data_root": "/var/lib/docker"}, "must lie below storage.mount_point"),
        ({"storage.mount_point": "/data"}, "huggingface.home (/mnt/models/huggingface) must lie"),
    ],
)
def test_values_that_contradict_each_other_are_refused(data: dict[str, Any], words: str) -> None:
    assert any(words in problem for problem in problems(data))


def test_every_problem_is_said_at_once() -> None:
    found = problems({"vllm": {"prot": 1, "port": "x"}, "foo": 1, "rocm.gpu_count": 0})
    assert len(found) == 4


def test_one_wipe_token_or_several() -> None:
    assert load_settings({"wipe": "a:b:c"}).wipe == ["a:b:c"]
    assert load_settings({"wipe": ["a:b:c", "d:e:f"]}).wipe == ["a:b:c", "d:e:f"]
    assert problems({"wipe": 1})


def test_the_model_argument_is_a_path_only_for_a_folder() -> None:
    assert load_settings({}).model_argument == "Qwen/Qwen2-VL-72B-Instruct"
    folder = load_settings({"model.source": "/srv/toy"})
    assert folder.model.is_local_folder
    assert folder.model_argument == "/mnt/models/models/toy"


def test_settings_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings({}).vllm.port = 1  # type: ignore[misc]


def test_the_nearest_key_of_every_key_is_itself() -> None:
    for key in known_keys():
        assert nearest_key(key) == key


@given(
    st.sampled_from([key for key in known_keys() if len(key) > 10]),
    st.integers(0, 200),
)
def test_one_missing_letter_still_finds_a_known_key(key: str, position: int) -> None:
    misspelt = key[: position % len(key)] + key[position % len(key) + 1 :]
    assert nearest_key(misspelt) is not None


def test_pyinfras_own_keys_are_those_of_the_installed_pyinfra() -> None:
    assert set(ConnectorData.__annotations__) == SSH_KEYS
    assert {name for name, _ in all_global_arguments()} >= GLOBAL_ARGUMENT_KEYS


_text = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
_name = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_]{0,20}", fullmatch=True)
_seqs = st.integers(1, 4096)
# An option that is given twice is refused.
_extra_args = st.lists(_text, max_size=3).map(
    lambda texts: [f"--x{number}={text}" for number, text in enumerate(texts)]
)
_settings_data = st.fixed_dictionaries(
    {},
    optional={
        "model": st.fixed_dictionaries({}, optional={"name": _name, "revision": _name | st.none()}),
        "rocm": st.fixed_dictionaries(
            {},
            optional={
                "users": st.lists(st.from_regex(r"[a-z_][a-z0-9_-]{0,20}", fullmatch=True)),
                "gpu_count": st.integers(1, 16),
                "numa_balancing": st.booleans(),
            },
        ),
        "vllm": st.fixed_dictionaries(
            {},
            optional={
                "port": st.integers(1, 65535),
                "max_num_seqs": _seqs,
                "gpu_memory_utilization": st.floats(0.01, 1.0),
                "dtype": st.sampled_from(["auto", "bfloat16", "float16", "float32"]),
                "extra_args": _extra_args,
            },
        ),
        "engine": st.fixed_dictionaries(
            {},
            optional={
                "environment": st.dictionaries(
                    st.from_regex(r"[A-Z_][A-Z0-9_]{0,10}", fullmatch=True), _text, max_size=3
                ),
                "ready_timeout_s": st.integers(1, 10**6),
            },
        ),
        "cost": st.fixed_dictionaries({}, optional={"usd_per_hour": st.floats(0, 10**6)}),
    },
)


@given(_settings_data)
def test_settings_survive_being_written_out_and_read_again(data: dict[str, Any]) -> None:
    settings = load_settings(data)
    written = settings.model_dump()
    assert load_settings(written) == settings
    for section, values in data.items():
        assert values.items() <= written[section].items()


@given(_settings_data)
def test_dotted_and_nested_are_the_same_for_any_settings(data: dict[str, Any]) -> None:
    dotted = {f"{section}.{key}": v for section, keys in data.items() for key, v in keys.items()}
    assert load_settings(dotted) == load_settings(data)


_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=5,
)


@given(
    st.dictionaries(st.sampled_from([*SECTIONS, *known_keys()]) | st.text(max_size=12), _anything)
)
def test_any_data_is_either_settings_or_a_list_of_problems(data: dict[str, Any]) -> None:
    found: tuple[Problem, ...] | None = None
    try:
        load_settings(data)
    except SettingsError as error:
        found = error.problems
    assert found is None or (found and all(problem.what for problem in found))


SECRET = "hf_AbCdEfGhIjKlMnOpQrStUvWxYz0123"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"vllm.extra_args": ["--seed=1", f"--api-key={SECRET}"]}, "vllm.extra_args: --api-key"),
        ({"vllm.extra_args": ["--hf_token", SECRET]}, "vllm.extra_args: --hf-token"),
        (
            {"engine.environment": {"VLLM_API_KEY": SECRET}},
            "engine.environment: the name VLLM_API_KEY means",
        ),
        (
            {"engine.environment": {"HF_TOKEN": SECRET}},
            "engine.environment: the name HF_TOKEN means",
        ),
        (
            {"engine.environment": {"MY_PASSWORD_": SECRET}},
            "engine.environment: the name MY_PASSWORD_ means",
        ),
        ({"huggingface.token_env": SECRET}, "huggingface.token_env: looks like a token itself"),
        ({"huggingface.endpoint": f"https://me:{SECRET}@hub.example"}, "huggingface.endpoint: "),
    ],
)
def test_a_secret_in_the_settings_is_refused_without_repeating_it(
    data: dict[str, Any], words: str
) -> None:
    (problem,) = problems(data)
    assert problem.startswith(words)
    assert SECRET not in problem


@pytest.mark.parametrize(
    "data",
    [
        {"huggingface": SECRET},
        {"huggingface": [SECRET]},
        {"engine.environment": SECRET},
        {"engine.environment": {"A": [SECRET]}},
        {"engine.environment": {"A": 12345678}},
        {"vllm.extra_args": f"--api-key={SECRET}"},
        {"huggingface.token_file": 12345678},
        {"huggingface.token": SECRET},
    ],
)
def test_a_value_of_the_wrong_type_that_may_be_a_secret_is_not_shown(data: dict[str, Any]) -> None:
    text = "\n".join(problems(data))
    assert SECRET not in text
    assert "12345678" not in text


@pytest.mark.parametrize(
    "url",
    [
        "https://hub.example",
        "https://hub.example:8443/mirror",
        "http://127.0.0.1:8090",
        "http://localhost/",
        "http://[::1]:80",
    ],
)
def test_a_mirror_is_asked_over_tls_or_on_the_host_itself(url: str) -> None:
    assert load_settings({"huggingface.endpoint": url}).huggingface.endpoint == url


@pytest.mark.parametrize(
    "url",
    [
        "http://hub.example",
        "http://127.0.0.1.example",
        "http://203.0.113.9:8090",
        "http://localhost@hub.example",
        "HTTP://hub.example",
        "ftp://hub.example",
        "hub.example",
        "http://[::1",
        "https://",
    ],
)
def test_a_mirror_that_would_get_the_token_in_clear_is_refused(url: str) -> None:
    (problem,) = problems({"huggingface.endpoint": url})
    assert problem.startswith("huggingface.endpoint: ")


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ({}, "Qwen/Qwen2-VL-72B-Instruct"),
        ({"source": "meta-llama/Llama-3.1-8B-Instruct"}, "meta-llama/Llama-3.1-8B-Instruct"),
        ({"source": "/srv/models/llama/"}, "llama"),
        ({"source": "meta-llama/Llama-3.1-8B-Instruct", "name": "chat"}, "chat"),
        ({"name": "chat"}, "chat"),
    ],
)
def test_a_models_name_follows_its_source_unless_it_is_set(
    model: dict[str, str], name: str
) -> None:
    assert load_settings({"model": model}).model.name == name
