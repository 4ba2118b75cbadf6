"""Public configurations against figures computed by hand and parameters that publishers state."""

from __future__ import annotations

import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_files import config, model

from rocminfra.planning.capacity.capacity import Serving, capacity
from rocminfra.planning.engine.gpus import MI300X
from rocminfra.planning.model.config import KNOWN_MODEL_TYPES, read_model
from rocminfra.planning.model.kv_layers import LayerKind
from rocminfra.planning.model.reference import REFERENCE_CONFIG, REFERENCE_PROCESSOR
from rocminfra.planning.model.spec import PredictionUnsupportedError, UnknownModelError

# Parameters: "Tensor type / model size" of the repositories' safetensors. KV bytes a token in
# bf16 by hand, mostly 2 (keys and values) x layers x KV heads x head size x 2 bytes.
PUBLIC = [
    ("llama-2-7b", 6_738_415_616, 2 * 32 * 32 * 128 * 2),
    ("llama-3.1-8b-instruct", 8_030_261_248, 2 * 32 * 8 * 128 * 2),
    ("llama-3.1-70b-instruct", 70_553_706_496, 2 * 80 * 8 * 128 * 2),
    ("mistral-7b-v0.1", 7_241_732_096, 2 * 32 * 8 * 128 * 2),
    ("mixtral-8x7b-instruct-v0.1", 46_702_792_704, 2 * 32 * 8 * 128 * 2),
    ("qwen2-7b-instruct", 7_615_616_512, 2 * 28 * 4 * 128 * 2),
    ("qwen2.5-72b-instruct", 72_706_203_648, 2 * 80 * 8 * 128 * 2),
    ("qwen3-8b", 8_190_735_360, 2 * 36 * 8 * 128 * 2),
    ("qwen3-32b", 32_762_123_264, 2 * 64 * 8 * 128 * 2),
    ("qwen3-30b-a3b", 30_532_122_624, 2 * 48 * 4 * 128 * 2),
    ("qwen2-vl-7b-instruct", 8_291_375_616, 2 * 28 * 4 * 128 * 2),
    ("qwen2-vl-72b-instruct", 73_405_560_320, 327_680),
    ("qwen2.5-vl-7b-instruct", 8_292_166_656, 2 * 28 * 4 * 128 * 2),
    # One latent vector of 512 and 64 rotary values a layer: not twice.
    ("deepseek-v2-lite", 15_706_484_224, 27 * (512 + 64) * 2),
    ("deepseek-v3", 671_026_419_200, 61 * (512 + 64) * 2),
    ("gemma-2-9b-it", 9_241_705_984, 2 * 42 * 8 * 256 * 2),
    ("gemma-3-27b-it", 27_432_406_640, 2 * 62 * 16 * 128 * 2),
    ("mistral-small-3.1-24b-instruct", 24_011_361_280, 2 * 40 * 8 * 128 * 2),
]


@pytest.mark.parametrize(("name", "parameters", "kv_bytes"), PUBLIC, ids=[row[0] for row in PUBLIC])
def test_public_models_have_the_parameters_and_kv_bytes_that_they_have(
    name: str, parameters: int, kv_bytes: int
) -> None:
    spec = model(name)
    assert spec.parameters == parameters
    assert spec.kv_bytes_per_token(2) == kv_bytes
    assert spec.kv_bytes_per_token(1) == kv_bytes // 2


def test_every_known_family_is_checked_against_a_public_model() -> None:
    checked = {config(name)["model_type"] for name, _, _ in PUBLIC} | {"gemma3_text"}
    assert checked == set(KNOWN_MODEL_TYPES)


def test_a_hybrid_is_refused_and_named() -> None:
    with pytest.raises(UnknownModelError, match=r"qwen3_next.*hybrid.*full_attention_interval"):
        model("qwen3-next-80b-a3b-instruct")


def test_an_unknown_family_is_refused_and_named() -> None:
    with pytest.raises(UnknownModelError, match=r"'mamba3'.*not guessed"):
        read_model({"model_type": "mamba3"}, "somebody/model")
    with pytest.raises(UnknownModelError, match="''"):
        read_model({}, "somebody/model")


def test_unknown_layers_of_a_known_family_are_refused() -> None:
    odd = {**config("qwen3-8b"), "use_sliding_window": True, "sliding_window": 4_096}
    odd["layer_types"] = ["full_attention", "linear_attention"] * 18
    with pytest.raises(UnknownModelError, match="linear_attention"):
        read_model(odd, "odd")


def test_a_configuration_that_lacks_something_says_what() -> None:
    broken = config("llama-3.1-8b-instruct")
    del broken["intermediate_size"]
    with pytest.raises(UnknownModelError, match="intermediate_size"):
        read_model(broken, "broken")


def test_a_quantized_model_needs_its_files() -> None:
    with pytest.raises(UnknownModelError, match=r"quantized \(fp8\)"):
        read_model(config("deepseek-v3"), "deepseek-v3")
    assert model("deepseek-v3").weights_bytes == 688_586_727_753


def test_the_index_wins_over_the_configuration_and_dtype_converts() -> None:
    llama = config("llama-3.1-8b-instruct")
    assert read_model(llama, "l").weights_bytes == 2 * 8_030_261_248
    assert read_model(llama, "l", dtype="float32").weights_bytes == 4 * 8_030_261_248
    measured = read_model(llama, "l", weights_bytes=16_060_522_500)
    assert (measured.weights_bytes, measured.weights_basis) == (16_060_522_500, "safetensors")
    # A float32 checkpoint is loaded as bf16.
    wide = read_model({**llama, "torch_dtype": "float32"}, "l", weights_bytes=32_121_044_992)
    assert wide.weights_bytes == 16_060_522_496


def test_windows_are_found_where_families_hide_them() -> None:
    def sliding(name: str) -> int:
        return sum(layer.kind is LayerKind.SLIDING for layer in model(name).layers)

    assert sliding("mistral-7b-v0.1") == 32
    assert sliding("gemma-2-9b-it") == 21
    assert sliding("gemma-3-27b-it") == 52
    assert sliding("qwen2.5-72b-instruct") == 0  # sliding_window is there, and switched off
    used = {**config("qwen2.5-72b-instruct"), "use_sliding_window": True}
    assert [layer.window for layer in read_model(used, "q").layers].count(131_072) == 10


def test_experts_that_a_token_passes_by_do_not_count_for_the_floor() -> None:
    # Published: 47 B of which 13 B are active; 30.5 B of which 3.3 B are.
    assert model("mixtral-8x7b-instruct-v0.1").active_bytes / 2e9 == pytest.approx(12.88, abs=0.01)
    assert model("qwen3-30b-a3b").active_bytes / 2e9 == pytest.approx(3.35, abs=0.01)
    assert model("llama-2-7b").active_bytes == model("llama-2-7b").weights_bytes


def test_predictions_of_what_is_not_modelled_are_refused() -> None:
    with pytest.raises(PredictionUnsupportedError, match="sliding window"):
        model("gemma-3-27b-it").shape()
    shape = model("deepseek-v3").shape()
    assert shape.kv_bytes_per_token == 61 * 576 * 2
    # Eight GPUs keep and read it eight times; eight KV heads are split, and on sixteen repeated.
    assert model("deepseek-v3").shape(2, 8).kv_bytes_per_token == 8 * 61 * 576 * 2
    assert model("llama-3.1-70b-instruct").shape(2, 8).kv_bytes_per_token == 327_680
    assert model("llama-3.1-70b-instruct").shape(2, 16).kv_bytes_per_token == 2 * 327_680
    assert model("qwen2-vl-72b-instruct").shape().kv_bytes_per_token == 327_680


def test_weights_of_four_bits_have_a_capacity_and_no_prediction() -> None:
    quantized = {**config("llama-3.1-70b-instruct"), "quantization_config": {"quant_method": "awq"}}
    spec = read_model(quantized, "awq", weights_bytes=39_800_000_000)
    assert capacity(spec, MI300X).fits
    with pytest.raises(PredictionUnsupportedError, match=r"4\.5 bits"):
        spec.shape()


def test_the_built_in_reference_is_the_public_configuration() -> None:
    built_in = read_model(REFERENCE_CONFIG, "r", processor=REFERENCE_PROCESSOR)
    assert built_in == model("qwen2-vl-72b-instruct").renamed("r")


def test_a_stretched_length_is_the_longest() -> None:
    yarn = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32_768}
    stretched = {**config("qwen2.5-72b-instruct"), "rope_scaling": yarn}
    assert read_model(stretched, "q").max_position == 131_072
    newer = {**config("qwen2.5-72b-instruct"), "rope_parameters": {**yarn, "rope_theta": 1e6}}
    assert read_model(newer, "q").max_position == 131_072
    llama3 = {"rope_type": "llama3", "factor": 8.0}
    fixed = {**config("llama-3.1-8b-instruct"), "rope_scaling": llama3}
    assert read_model(fixed, "l").max_position == 131_072


@pytest.mark.parametrize(
    ("name", "extra", "named"),
    [
        ("llama-3.1-8b-instruct", {"layer_types": ["linear_attention"] * 32}, "linear_attention"),
        ("qwen3-8b", {"layer_types": ["linear_attention"] * 36}, "linear_attention"),
        ("qwen2.5-72b-instruct", {"mamba_d_state": 128}, "mamba_d_state"),
        ("llama-3.1-8b-instruct", {"attention_chunk_size": 8_192}, "attention_chunk_size"),
        ("gemma-2-9b-it", {"num_kv_shared_layers": 10}, "num_kv_shared_layers"),
        ("deepseek-v2-lite", {"index_topk": 2_048}, "index_topk"),
        ("llama-3.1-8b-instruct", {"layer_types": ["full_attention"]}, "layer_types"),
        ("qwen3-8b", {"vision_config": {}}, "vision_config"),
        ("llama-3.1-8b-instruct", {"num_hidden_layers": 10_000_000}, "num_hidden_layers"),
        ("llama-3.1-8b-instruct", {"hidden_size": 10**400}, "hidden_size = 1000.*cannot be"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_changes_the_cache_of_a_known_family_is_refused(
    name: str, extra: dict[str, object], named: str
) -> None:
    with pytest.raises(UnknownModelError, match=named):
        read_model({**config(name), **extra}, name)


def test_a_length_that_has_the_stretch_in_it_is_not_stretched_again() -> None:
    """Published: 163,840 tokens for DeepSeek V3 (4,096 x 40), 131,072 for Gemma 3."""
    yarn = {"type": "yarn", "factor": 40, "original_max_position_embeddings": 4_096}
    deepseek = {**config("deepseek-v2-lite"), "rope_scaling": yarn}
    assert deepseek["max_position_embeddings"] == 163_840
    assert read_model(deepseek, "d").max_position == 163_840
    assert model("gemma-3-27b-it").max_position == 131_072
    endless = config("llama-3.1-8b-instruct")
    del endless["max_position_embeddings"]
    with pytest.raises(UnknownModelError, match="max_position_embeddings"):
        read_model(endless, "l")


def test_keys_that_change_no_cache_do_no_harm() -> None:
    plain = config("llama-3.1-8b-instruct")
    extra = {"attention_chunk_size": None, "num_kv_shared_layers": 0, "something_new": 7}
    full = {"layer_types": ["full_attention"] * 32, "sliding_window": None}
    assert read_model({**plain, **extra, **full}, "l") == read_model(plain, "l")


def test_a_family_with_an_encoder_needs_its_configuration() -> None:
    blind = config("qwen2-vl-7b-instruct")
    del blind["vision_config"]
    with pytest.raises(UnknownModelError, match="vision_config"):
        read_model(blind, "blind")


def test_what_published_files_leave_out_is_the_classs_default() -> None:
    """As in Qwen's own quantized 72B, and in everything that transformers has saved again."""
    whole = model("qwen2-vl-72b-instruct")
    short = {"hidden_size": 8_192, "in_chans": 3, "model_type": "qwen2_vl"}
    found = read_model({**config("qwen2-vl-72b-instruct"), "vision_config": short}, whole.name)
    assert found == whole
    small = {**config("qwen2-vl-7b-instruct"), "vision_config": {"spatial_patch_size": 14}}
    assert read_model(small, "s").parameters == 8_291_375_616
    newer = {**config("qwen2.5-vl-7b-instruct"), "vision_config": {"hidden_size": 1_280}}
    assert read_model(newer, "n").parameters == 8_292_166_656


@pytest.mark.parametrize("share", [0.0, 0.5, 2.0, 1e6])
def test_files_that_cannot_be_the_models_are_refused(share: float) -> None:
    """Half a download, or weights of another type than the configuration says."""
    whole = 2 * 8_030_261_248
    with pytest.raises(UnknownModelError, match="files are missing"):
        read_model(config("llama-3.1-8b-instruct"), "l", weights_bytes=max(1, round(share * whole)))


def test_a_prescribed_type_of_the_cache_is_not_guessed() -> None:
    scheme = {"quant_method": "compressed-tensors", "kv_cache_scheme": {"num_bits": 8}}
    quantized = {**config("llama-3.1-8b-instruct"), "quantization_config": scheme}
    spec = read_model(quantized, "l", weights_bytes=9_000_000_000)
    with pytest.raises(ValueError, match="prescribes the type of the KV cache"):
        capacity(spec, MI300X)
    assert capacity(spec, MI300X, Serving(kv_dtype_bytes=1)).kv_bytes_per_token == 65_536


VALUES = (
    st.none()
    | st.integers(-5, 10)
    | st.floats(allow_nan=True)
    | st.text(max_size=3)
    | st.just([])
    | st.just({})
)


FOREIGN = st.sampled_from(
    ["layer_types", "quantization_config", "rope_scaling", "attention_chunk_size", "text_config"]
)


@given(st.sampled_from([name for name, _, _ in PUBLIC]), st.data())
def test_whatever_a_configuration_says_it_is_read_or_refused(
    name: str, data: st.DataObject
) -> None:
    broken = config(name)
    part = broken
    if "vision_config" in broken and data.draw(st.booleans()):
        part = broken["vision_config"]
    for key in data.draw(st.sets(st.sampled_from(sorted(part)), min_size=1, max_size=3)):
        part[key] = data.draw(VALUES)
    if data.draw(st.booleans()):
        broken[data.draw(FOREIGN)] = data.draw(VALUES)
    spec = None
    with suppress(UnknownModelError):
        spec = read_model(broken, name)
    if spec is None:
        return
    assert spec.weights_bytes > 0
    with suppress(ValueError):  # layers that share blocks in a way that is not known
        assert capacity(spec, MI300X).block_bytes > 0


# Siblings of a figure that is made out of something else: values of another kind.
@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("llama-3.1-8b-instruct", "hidden_size", "4096"),
        ("llama-3.1-8b-instruct", "num_hidden_layers", True),
        ("llama-3.1-8b-instruct", "intermediate_size", 14_336.5),
        ("llama-3.1-8b-instruct", "num_key_value_heads", [8]),
        ("llama-3.1-8b-instruct", "vocab_size", -1),
        ("llama-3.1-8b-instruct", "max_position_embeddings", 1e30),
        ("llama-3.1-8b-instruct", "tie_word_embeddings", "false"),
        ("llama-3.1-8b-instruct", "attention_bias", 2),
        ("llama-3.1-8b-instruct", "head_dim", "\u0663"),
        ("llama-3.1-8b-instruct", "rope_scaling", {"rope_type": "dynamic", "factor": "8.0"}),
        ("qwen2.5-72b-instruct", "use_sliding_window", "no"),
        ("mistral-7b-v0.1", "sliding_window", math.nan),
        ("mistral-small-3.1-24b-instruct", "multimodal_projector_bias", {"a": 1}),
        ("gemma-3-27b-it", "vision_config", [1]),
    ],
)
def test_values_of_another_kind_are_refused_by_name(name: str, key: str, value: object) -> None:
    with pytest.raises(UnknownModelError, match=rf"{key}.*(cannot be|without keys)"):
        read_model({**config(name), key: value}, name)


def test_a_whole_number_may_have_a_point_and_null_is_nothing() -> None:
    plain = config("llama-3.1-8b-instruct")
    known = read_model(plain, "l")
    assert read_model({**plain, "max_position_embeddings": 131_072.0}, "l") == known
    assert read_model({**plain, "head_dim": None, "sliding_window": None}, "l") == known


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        ({"num_key_value_heads": 5}, "32 heads of queries do not share 5"),
        ({"num_key_value_heads": 64}, "32 heads of queries do not share 64"),
        ({"kv_lora_rank": 512}, "kv_lora_rank"),
        ({"num_local_experts": 8}, "num_local_experts"),
        ({"block_configs": [{"attention": {"no_op": True}}]}, "block_configs"),
        ({"num_key_value_heads_per_layer": [8] * 32}, "num_key_value_heads_per_layer"),
    ],
)
def test_a_llama_that_is_none(extra: dict[str, object], named: str) -> None:
    with pytest.raises(UnknownModelError, match=named):
        read_model({**config("llama-3.1-8b-instruct"), **extra}, "l")
