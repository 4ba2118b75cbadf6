"""Checkpoints of the field: described in several places, or not whole."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from rocminfra.model_files import load_model, tensor_bytes
from rocminfra.planning.capacity.capacity import Serving, capacity
from rocminfra.planning.engine.gpus import MI300X
from rocminfra.planning.model.spec import UnknownModelError
from rocminfra.runner.cli import run

CASES = Path(__file__).parent / "cases"
LLAMA_KV_FP8 = 2 * 32 * 8 * 128


def test_both_forms_of_a_configuration_are_the_same_model() -> None:
    """transformers 5 writes tie_word_embeddings at the top level only: 3.755 G, as published."""
    newer, older = (
        load_model(str(CASES / "qwen25vl3b-v5")),
        load_model(str(CASES / "qwen25vl3b-v4")),
    )
    assert newer.parameters == older.parameters == 3_754_622_976
    assert newer.renamed("m") == older.renamed("m")


@pytest.mark.parametrize(
    ("case", "place"),
    [
        ("llama8b-compression_config", "compression_config"),
        ("gemma3-textquant", r"text_config\.quantization_config"),
    ],
)
def test_quantization_is_found_wherever_it_stands(case: str, place: str) -> None:
    with pytest.raises(
        UnknownModelError, match=rf"quantized \(compressed-tensors\), as its {place}"
    ):
        load_model(str(CASES / case))


def test_auto_is_fp8_where_the_checkpoint_says_so() -> None:
    spec = load_model(str(CASES / "llama8b-compression_config-weights"))
    assert (spec.weights_bytes, spec.weights_basis) == (9_082_195_968, "safetensors")
    planned = capacity(spec, MI300X)
    assert planned.kv_bytes_per_token == LLAMA_KV_FP8
    assert planned.serving.kv_dtype_bytes == 1
    assert planned == capacity(spec, MI300X, Serving(kv_dtype_bytes=1))
    assert spec.shape().kv_bytes_per_token == LLAMA_KV_FP8


@pytest.mark.parametrize("case", ["mistral7b-consolidated", "mistral-single-consolidated"])
def test_weights_in_a_second_format_are_not_counted_again(case: str) -> None:
    assert load_model(str(CASES / case)).weights_bytes == 14_496_047_104


def test_pointers_are_no_weights(capsys: pytest.CaptureFixture[str]) -> None:
    folder = CASES / "lfs-pointers"
    assert run(["capacity", "--model", str(folder), "--json"]) == 3
    what: str = json.loads(capsys.readouterr().out)["error"]["what"]
    assert "model-00001-of-00004.safetensors is a Git LFS pointer" in what
    assert f"git -C {folder} lfs pull" in what


# Siblings: the same kinds in other clothes.

LLAMA: dict[str, Any] = json.loads(
    (CASES / "llama8b-compression_config" / "config.json").read_text(encoding="utf-8")
)
del LLAMA["compression_config"]
MODELOPT = {
    "producer": {"name": "modelopt", "version": "0.29.0"},
    "quantization": {
        "quant_algo": "FP8",
        "kv_cache_quant_algo": "FP8",
        "exclude_modules": ["head"],
    },
}
INDEX = "model.safetensors.index.json"


def folder_of(path: Path, config: dict[str, Any], size: int | None = None, **beside: Any) -> str:
    path.mkdir(exist_ok=True)
    (path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    if size is not None:
        index = {"metadata": {"total_size": size}, "weight_map": {}}
        (path / INDEX).write_text(json.dumps(index), encoding="utf-8")
    for name, content in beside.items():
        (path / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return str(path)


def test_modelopts_file_beside_the_config_counts(tmp_path: Path) -> None:
    with pytest.raises(UnknownModelError, match=r"\(modelopt\), as its hf_quant_config\.json says"):
        load_model(folder_of(tmp_path, LLAMA, hf_quant_config=MODELOPT))
    spec = load_model(folder_of(tmp_path, LLAMA, 9_082_195_968, hf_quant_config=MODELOPT))
    assert capacity(spec, MI300X).kv_bytes_per_token == LLAMA_KV_FP8


@pytest.mark.parametrize(
    ("file", "content", "method"),
    [
        ("quantize_config", {"bits": 4, "group_size": 128, "desc_act": False}, "gptq"),
        ("quant_config", {"w_bit": 4, "q_group_size": 128, "version": "GEMM"}, "awq"),
        ("params", {"dim": 4096, "quantization": {"qformat_weight": "fp8_e4m3"}}, "fp8"),
    ],
)
def test_other_files_beside_the_config_count(
    tmp_path: Path, file: str, content: dict[str, Any], method: str
) -> None:
    with pytest.raises(UnknownModelError, match=rf"quantized \({method}\)"):
        load_model(folder_of(tmp_path, LLAMA, **{file: content}))
    spec = load_model(folder_of(tmp_path, LLAMA, 5_700_000_000, **{file: content}))
    assert capacity(spec, MI300X).fits


def test_four_bits_in_a_nested_configuration_have_a_capacity(tmp_path: Path) -> None:
    models = Path(__file__).parents[1] / "planning" / "models"
    mistral3 = json.loads((models / "mistral-small-3.1-24b-instruct.json").read_text("utf-8"))
    packed = {"quant_method": "compressed-tensors", "format": "pack-quantized"}
    mistral3["text_config"]["quantization_config"] = packed
    with pytest.raises(UnknownModelError, match=r"text_config\.quantization_config"):
        load_model(folder_of(tmp_path, mistral3))
    spec = load_model(folder_of(tmp_path, mistral3, 15_200_000_000))
    assert capacity(spec, MI300X).weights_bytes == 15_200_000_000


@pytest.mark.parametrize(
    ("change", "beside", "named"),
    [
        ({"quantization_config": {"quant_method": "hqq"}}, {}, "'hqq'"),
        ({"quantization_config": {}}, {}, "no name"),
        ({"quantization_config": {"group_size": 64, "bits": 4}}, {}, "no name"),
        (
            {"quantization": {"group_size": 64, "bits": 4}},
            {},
            "seems to be quantized.*quantization",
        ),
        ({"vision_config": {"quantization_config": {"bits": 4}}}, {}, "vision_config.quantization"),
        ({"load_in_4bit": True}, {}, "load_in_4bit"),
        ({"quip_params": {"codebook": "E8P12"}}, {}, "quip_params"),
        ({"gptq": {"wbits": 4}}, {}, "gptq"),
        ({"w_bit": 4}, {}, "w_bit"),
        ({"weight_precision": "int8"}, {}, "weight_precision"),
        ({"expert_dtype": "fp4"}, {}, "expert_dtype"),
        ({"use_fp8": True}, {}, "use_fp8"),
        ({"sparsity_config": {"format": "sparse-24-bitmask"}}, {}, "sparsity_config"),
        ({"kv_cache_scheme": {"num_bits": 8, "type": "float"}}, {}, "kv_cache_scheme"),
        ({"parts": [{"quantization_config": {"bits": 4}}]}, {}, "parts.quantization_config"),
        ({}, {"quanto_qmap": {"lm_head": "none"}}, "quanto_qmap.json"),
        ({}, {"hf_quant_config": {}}, "hf_quant_config.json"),
        (
            {"quantization_config": {"quant_method": "fp8"}},
            {"hf_quant_config": MODELOPT},
            "fp8 as quantization_config says, and by modelopt as hf_quant_config.json says",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_understood_is_refused_by_name(
    tmp_path: Path, change: dict[str, Any], beside: dict[str, Any], named: str
) -> None:
    with pytest.raises(UnknownModelError, match=named):
        load_model(folder_of(tmp_path, {**LLAMA, **change}, 9_000_000_000, **beside))


@pytest.mark.parametrize(
    "quantization",
    [
        {"quant_method": "quark", "export": {"kv_cache_group": ["*k_proj", "*v_proj"]}},
        {"quant_method": "fp8", "kv_cache_scheme": "static"},
        {"quant_method": "compressed-tensors", "kv_cache_scheme": {"num_bits": 4, "type": "int"}},
        {"quant_method": "modelopt", "kv_cache_quant_algo": "NVFP4"},
        {"quant_method": "quark", "export": {"kv_cache_dtype": "fp8_e4m3"}},
        {"quant_method": "fp8", "kv_cache_dtype": "fp8_e4m3"},
        {"quant_method": "awq", "kv_quant_config": {"bits": 8}},
    ],
    ids=lambda value: "-".join(map(str, value)),
)
def test_a_cache_type_that_auto_is_not_known_to_follow_must_be_said(
    tmp_path: Path, quantization: dict[str, Any]
) -> None:
    config = {**LLAMA, "quantization_config": quantization}
    spec = load_model(folder_of(tmp_path, config, 9_000_000_000))
    with pytest.raises(ValueError, match="ask with kv-cache-dtype fp8"):
        capacity(spec, MI300X)
    asked = capacity(spec, MI300X, Serving(kv_dtype_bytes=1))
    assert asked.kv_bytes_per_token == LLAMA_KV_FP8


def test_a_cache_type_beside_the_quantization_leaves_it_open(tmp_path: Path) -> None:
    config = {
        **LLAMA,
        "quantization_config": {"quant_method": "compressed-tensors"},
        "kv_cache_scheme": {"num_bits": 8, "type": "float"},
    }
    assert load_model(folder_of(tmp_path, config, 9_000_000_000)).prescribes_kv_type


def test_a_recipe_that_quantizes_is_a_trace(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, LLAMA)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("stage:\n  modifiers:\n    QuantizationModifier: {scheme: FP8_DYNAMIC}\n")
    with pytest.raises(UnknownModelError, match=r"seems to be quantized.*recipe\.yaml"):
        load_model(folder)
    recipe.write_text("stage:\n  modifiers:\n    SparseGPTModifier: {sparsity: 0.5}\n")
    assert load_model(folder).weights_basis == "computed"


def test_words_that_only_look_alike_are_no_quantization(tmp_path: Path) -> None:
    config = {**LLAMA, "residual_in_fp32": True, "bf16": True, "use_fp8": False, "bitwise": 3}
    assert load_model(folder_of(tmp_path, config)).weights_basis == "computed"


def test_places_that_disagree_about_the_cache_leave_it_open(tmp_path: Path) -> None:
    config = {**LLAMA, "quantization_config": {"quant_method": "modelopt"}}
    spec = load_model(folder_of(tmp_path, config, 9_000_000_000, hf_quant_config=MODELOPT))
    assert spec.prescribes_kv_type


def test_what_is_empty_is_no_quantization(tmp_path: Path) -> None:
    config = {**LLAMA, "quantization_config": None, "use_cache_quantization": False}
    spec = load_model(folder_of(tmp_path, config, params={"dim": 4096, "quantization": None}))
    assert (spec.weights_bytes, spec.weights_basis) == (16_060_522_496, "computed")


@pytest.mark.parametrize(
    ("file", "kind"),
    [("adapter_config", "an adapter"), ("params", "Mistral's own"), ("model_index", "a pipeline")],
)
def test_what_is_no_model_is_called_what_it_is(tmp_path: Path, file: str, kind: str) -> None:
    (tmp_path / f"{file}.json").write_text("{}")
    with pytest.raises(UnknownModelError, match=f"holds no config.json: .*{kind}"):
        load_model(str(tmp_path))


def test_gguf_is_not_computed_as_bf16(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, LLAMA)
    (tmp_path / "model-Q4_K_M.gguf").write_bytes(b"GGUF")
    with pytest.raises(UnknownModelError, match=r"GGUF \(model-Q4_K_M\.gguf\)"):
        load_model(folder)


def test_a_decoder_that_its_family_does_not_have_is_refused(tmp_path: Path) -> None:
    models = Path(__file__).parents[1] / "planning" / "models"
    mistral3 = json.loads((models / "mistral-small-3.1-24b-instruct.json").read_text("utf-8"))
    mistral3["text_config"]["model_type"] = "ministral3"
    with pytest.raises(UnknownModelError, match="mistral3 whose decoder is a 'ministral3'"):
        load_model(folder_of(tmp_path, mistral3))


def test_an_index_that_is_a_pointer_is_named(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, LLAMA)
    pointer = CASES / "lfs-pointers" / "model-00001-of-00004.safetensors"
    shutil.copy(pointer, tmp_path / INDEX)
    with pytest.raises(UnknownModelError, match=r"index\.json is a Git LFS pointer"):
        load_model(folder)
    with pytest.raises(UnknownModelError, match="Git LFS pointer"):
        tensor_bytes(tmp_path)
