"""Every place in which a checkpoint may say that it is quantized, read as vLLM reads them.

Nothing is taken for bf16 while one of them is unread: what is there and not understood is refused
by name, for the bytes of its weights would be a guess.

Sources: ``get_config`` of ``vllm/transformers_utils/config.py``, ``_parse_quant_hf_config`` of
``vllm/config/model.py``, ``get_kv_cache_quant_algo_string`` of ``vllm/utils/torch_utils.py`` and
``Attention`` of ``vllm/model_executor/layers/attention`` in vLLM 0.20. Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rocminfra.planning.model.spec import UnknownModelError

# Keys under which families keep the configuration of their decoder.
TEXT_KEYS = ("text_config", "llm_config", "language_config")
# Files beside the config, and the method of the tool that writes them where they name none
# (ModelOpt, AutoGPTQ, AutoAWQ). Mistral's own format says it in params.json.
BESIDE = {
    "hf_quant_config.json": "modelopt",
    "quantize_config.json": "gptq",
    "quant_config.json": "awq",
}
MISTRAL_FILE = "params.json"
# How llm-compressor was told to quantize, beside what it wrote.
RECIPE = "recipe.yaml"
# What vLLM 0.20 loads from safetensors as they are stored (model_executor/layers/quantization).
_METHODS = {
    "auto-round",
    "awq",
    "awq_marlin",
    "bitsandbytes",
    "compressed-tensors",
    "fbgemm_fp8",
    "fp8",
    "gptq",
    "gptq_marlin",
    "inc",
    "modelopt",
    "modelopt_fp4",
    "modelopt_mixed",
    "modelopt_mxfp8",
    "moe_wna16",
    "mxfp4",
    "mxfp8",
    "petit_nvfp4",
    "quark",
    "torchao",
}
_SPELLINGS = {"compressed_tensors": "compressed-tensors", "intel/auto-round": "auto-round"}
# The only methods whose cache type vLLM's `auto` follows.
_AUTO_FOLLOWS = ("compressed-tensors", "modelopt")
_KV_KEYS = ("kv_cache_scheme", "kv_cache_quant_algo")
# Types of tensors that are weights as they were trained, or no weights.
_PLAIN_TYPES = {"BF16", "F16", "F32", "F64", "I64", "BOOL"}
# A few tensors of another type (masks, positions) are no quantization.
_MOST_OTHER = 0.01
# Keys that only a quantized checkpoint has, in the words of the tools that write them.
_HINT = re.compile(
    r"quant|quip|awq|gptq|aqlm|hqq|exl[23]|bnb|fp8|mxfp|nvfp|^kv_cache_(scheme|dtype)"
    r"|^_?load_in_[48]bit|(^|_)(w|weight)_?bits?$|^n?bits$|^(sparsity|compression)(_config)?$"
)
# Keys of a type of numbers, and types of 8 bits or fewer.
_TYPE_KEY = re.compile(r"dtype|precision|weight_type|data_type")
_FEW_BITS = re.compile(r"(torch\.)?(u?int[248]|fp[48].*|float[48]_.*|nf4|e[245]m[1-3].*|w\da\d+)")
# Deeper than any published configuration nests its parts.
_MOST_DEPTH = 4


@dataclass(frozen=True)
class Quantization:
    """How the weights are stored.

    + method: vLLM's name of it
    + place: where that stands, such as ``text_config.quantization_config``
    + kv_bytes: of one value of the KV cache when its type is left to ``auto``: 1 for fp8, 2 where
      nothing is said; None where something is said that vLLM's ``auto`` does not follow
    """

    method: str
    place: str
    kv_bytes: int | None = 2


def find_quantization(
    name: str,
    config: Mapping[str, Any],
    beside: Mapping[str, Mapping[str, Any]] | None = None,
    stored_types: Mapping[str, int] | None = None,
) -> Quantization | None:
    """How a checkpoint is quantized, or None when nothing says that it is.

    + name: how the model is called in messages
    + config: its ``config.json``
    + beside: files beside it that may say so, by name
    + stored_types: bytes of its tensors by their type, as the safetensors headers have it

    Raises :class:`UnknownModelError` for a method that is not known, for places that disagree, and
    for tensors of a quantized type that nothing explains.
    """
    found = [_read(name, place, said, usual) for place, said, usual in _places(config, beside)]
    if not found:
        _check_unexplained(name, config, beside or {}, stored_types or {})
        return None
    first = found[0]
    other = next((one for one in found if _family(one.method) != _family(first.method)), None)
    if other is not None:
        raise UnknownModelError(
            f"{name} is quantized by {first.method} as {first.place} says, and by {other.method} "
            f"as {other.place} says: which of them its weights are is not guessed"
        )
    is_hidden = any(_is_about_cache(key) and config.get(key) for key in config)
    if is_hidden or any(one.kv_bytes != first.kv_bytes for one in found):
        return Quantization(first.method, first.place, None)
    return first


def _places(
    config: Mapping[str, Any], beside: Mapping[str, Mapping[str, Any]] | None
) -> Iterator[tuple[str, Any, str | None]]:
    """Where it says so, what it says and the method that goes without saying; vLLM's order."""
    files = beside or {}
    texts = [(key, config[key]) for key in TEXT_KEYS if isinstance(config.get(key), Mapping)]
    if config.get("quantization_config") is not None:
        yield "quantization_config", config["quantization_config"], None
    for file, usual in BESIDE.items():
        if file in files:
            yield file, files[file], usual
    for key, text in texts:
        if text.get("quantization_config") is not None:
            yield f"{key}.quantization_config", text["quantization_config"], None
    parts = [("", config), *((f"{key}.", text) for key, text in texts)]
    for prefix, part in parts:
        if part.get("compression_config") is not None:
            yield f"{prefix}compression_config", part["compression_config"], None
    native = files.get(MISTRAL_FILE, {}).get("quantization")
    # It is about the consolidated files, which nobody loads where the config speaks of others.
    if native and config.get("quantization_config") is None:
        format_method = "fp8" if _is_fp8_format(native) else None
        yield f"{MISTRAL_FILE}: quantization", native, format_method


def _read(name: str, place: str, said: Any, usual: str | None) -> Quantization:
    method = _method(said, usual)
    if method is None or method not in _METHODS:
        called = "a way that has no name" if method is None else repr(method)
        raise UnknownModelError(
            f"{name} is quantized, as its {place} says, in {called}, and what its weights and "
            f"KV cache take then is not known; known are {', '.join(sorted(_METHODS))}"
        )
    return Quantization(method, place, _kv_bytes(method, said))


def _method(said: Any, usual: str | None) -> str | None:
    if not isinstance(said, Mapping):
        return None
    stated = said.get("quant_method")
    if stated is not None:
        lower = str(stated).lower()
        return _SPELLINGS.get(lower, lower)
    producer = said.get("producer")
    if isinstance(producer, Mapping) and producer.get("name") == "modelopt":
        return "modelopt"
    # A file that is empty names no tool.
    return usual if said else None


def _kv_bytes(method: str, said: Mapping[str, Any]) -> int | None:
    inner = said.get("quantization")
    parts = [inner, said] if isinstance(inner, Mapping) else [said]
    stated = next((part[key] for key in _KV_KEYS for part in parts if part.get(key)), None)
    if stated is None:
        # Quark names the layers whose outputs are keys and values.
        exported = said.get("export")
        if isinstance(exported, Mapping):
            parts.append(exported)
        is_said = any(_is_about_cache(key) and part[key] for part in parts for key in part)
        return None if is_said else 2
    is_followed = _family(method) in _AUTO_FOLLOWS
    return 1 if is_followed and _is_fp8_cache(stated) else None


def _is_fp8_cache(stated: Any) -> bool:
    if isinstance(stated, Mapping):
        return stated.get("num_bits") == 8 and stated.get("type") == "float"
    return isinstance(stated, str) and stated.lower() == "fp8"


def _is_fp8_format(native: Any) -> bool:
    # As published: {"qformat_weight": "fp8_e4m3", "qscheme_act": "TENSOR"}.
    stated = native.get("qformat_weight") if isinstance(native, Mapping) else None
    return isinstance(stated, str) and stated.startswith("fp8")


def _family(method: str) -> str:
    """One tool under its several names: they differ by kernel, and not by what is stored."""
    return next(
        (family for family in ("modelopt", "gptq", "awq") if method.startswith(family)), method
    )


def _check_unexplained(
    name: str,
    config: Mapping[str, Any],
    beside: Mapping[str, Mapping[str, Any]],
    stored_types: Mapping[str, int],
) -> None:
    """Refuse what hints at a quantization that none of the known places describes."""
    files = (file for file in sorted(beside) if "quant" in file.lower() or file == RECIPE)
    hints = [*_hinting_keys(config), *files]
    if hints:
        raise UnknownModelError(
            f"{name} seems to be quantized: it has {', '.join(hints)}, which is not known; its "
            "weights are not computed as if it were not there"
        )
    total = sum(stored_types.values())
    other = {kind: size for kind, size in stored_types.items() if kind not in _PLAIN_TYPES}
    if sum(other.values()) > _MOST_OTHER * total:
        raise UnknownModelError(
            f"{name}: its safetensors files hold tensors of the type {', '.join(sorted(other))}, "
            "so it is quantized, and neither its configuration nor a file beside it says how"
        )


def _hinting_keys(part: Mapping[str, Any], prefix: str = "", depth: int = 0) -> Iterator[str]:
    for key, value in part.items():
        place = f"{prefix}{key}"
        if _HINT.search(str(key).lower()):
            if value:
                yield place
        elif isinstance(value, str):
            if _TYPE_KEY.search(str(key).lower()) and _FEW_BITS.fullmatch(value.lower()):
                yield place
        elif depth < _MOST_DEPTH:
            inner = value if isinstance(value, list) else [value]
            for one in inner:
                if isinstance(one, Mapping):
                    yield from _hinting_keys(one, f"{place}.", depth + 1)


def _is_about_cache(key: str) -> bool:
    """Whether a key says what the KV cache is kept in."""
    lower = str(key).lower()
    return lower.startswith("kv_") and any(word in lower for word in ("cache", "quant", "dtype"))
