"""A model folder of a few hundred kilobytes, shaped like Qwen2-VL.

The practice droplet serves it: the engine simulator and GuideLLM count tokens with its tokenizer.
It computes nothing. Every build is identical, byte for byte.
"""

from __future__ import annotations

import json
import shutil
import struct
import tempfile
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

VOCABULARY_SIZE = 2_048
_SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
_CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}"
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    "{% endif %}"
    "<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] in ('image', 'image_url') %}"
    "<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif 'text' in part %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}"
    "<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def build(out: Path) -> Path:
    """Create the folder at ``out`` atomically and return it.

    An existing folder is replaced.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        staging.chmod(0o755)
        _fill(staging)
        if out.exists():
            shutil.rmtree(out)
        staging.rename(out)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return out


def _fill(folder: Path) -> None:
    tokenizer = _tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    vocabulary: dict[str, int] = tokenizer.get_vocab()
    special = {token: vocabulary[token] for token in _SPECIAL_TOKENS}
    _write(folder / "config.json", _config(special, tokenizer.get_vocab_size()))
    _write(folder / "tokenizer_config.json", _tokenizer_config(special))
    _write(
        folder / "generation_config.json",
        {
            "bos_token_id": special["<|endoftext|>"],
            "eos_token_id": [special["<|im_end|>"], special["<|endoftext|>"]],
            "pad_token_id": special["<|endoftext|>"],
            "do_sample": True,
            "temperature": 0.01,
            "top_k": 1,
            "top_p": 0.001,
        },
    )
    _write(
        folder / "preprocessor_config.json",
        {
            "image_processor_type": "Qwen2VLImageProcessor",
            "processor_class": "Qwen2VLProcessor",
            "min_pixels": 3136,
            "max_pixels": 12_845_056,
            "patch_size": 14,
            "temporal_patch_size": 2,
            "merge_size": 2,
            "image_mean": [0.48145466, 0.4578275, 0.40821073],
            "image_std": [0.26862954, 0.26130258, 0.27577711],
        },
    )
    (folder / "model.safetensors").write_bytes(_safetensors())


def _config(special: dict[str, int], vocabulary_size: int) -> dict[str, Any]:
    return {
        "architectures": ["Qwen2VLForConditionalGeneration"],
        "model_type": "qwen2_vl",
        "_rocminfra": "toy model of the practice droplet: shaped like Qwen2-VL, computes nothing",
        "bos_token_id": special["<|endoftext|>"],
        "eos_token_id": special["<|im_end|>"],
        "vision_start_token_id": special["<|vision_start|>"],
        "vision_end_token_id": special["<|vision_end|>"],
        "image_token_id": special["<|image_pad|>"],
        "video_token_id": special["<|video_pad|>"],
        "hidden_act": "silu",
        "hidden_size": 64,
        "intermediate_size": 128,
        "max_position_embeddings": 32_768,
        "max_window_layers": 2,
        "num_attention_heads": 4,
        "num_hidden_layers": 2,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-06,
        "rope_theta": 1_000_000.0,
        "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]},
        "sliding_window": 32_768,
        "use_sliding_window": False,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "use_cache": True,
        "vocab_size": vocabulary_size,
        "vision_config": {
            "depth": 2,
            "embed_dim": 32,
            "hidden_size": 64,
            "in_chans": 3,
            "mlp_ratio": 4,
            "num_heads": 2,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "spatial_patch_size": 14,
            "temporal_patch_size": 2,
        },
    }


def _tokenizer_config(special: dict[str, int]) -> dict[str, Any]:
    decoder = {
        str(index): {
            "content": token,
            "lstrip": False,
            "normalized": False,
            "rstrip": False,
            "single_word": False,
            "special": True,
        }
        for token, index in special.items()
    }
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_prefix_space": False,
        "added_tokens_decoder": decoder,
        "additional_special_tokens": list(_SPECIAL_TOKENS[1:]),
        "bos_token": None,
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "unk_token": None,
        "clean_up_tokenization_spaces": False,
        "model_max_length": 32_768,
        "chat_template": _CHAT_TEMPLATE,
    }


def _tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE,
        special_tokens=[AddedToken(token, normalized=False) for token in _SPECIAL_TOKENS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((*_SENTENCES, *[_TEMPLATE_WORDS] * 20), trainer)
    return tokenizer


def _safetensors() -> bytes:
    """Two small tensors of zeros: a length, a JSON header, the data."""
    tensors = {"model.embed_tokens.weight": [16, 64], "model.norm.weight": [64]}
    header: dict[str, Any] = {"__metadata__": {"format": "pt", "rocminfra": "toy model"}}
    offset = 0
    for name, shape in tensors.items():
        size = 2
        for side in shape:
            size *= side
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + bytes(offset)


def _write(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


# Repeated often enough that each becomes one token: the template then costs 19 tokens, like Qwen's.
_TEMPLATE_WORDS = "You are a helpful assistant.\nsystem\nuser\nassistant\n"
# The tokenizer's training text: enough different words for a vocabulary of plain words.
_SENTENCES = (
    "The engine reads every weight once for each step, and the cache once for each sequence.",
    "A scheduler decides which requests run now, which of them wait, and which must give way.",
    "What is the total amount due on this invoice, and on which date was it sent to the client?",
    "Name the person who signed the letter at the bottom of the second page of the document.",
    "The table shows the number of units sold in each region during the first quarter of the year.",
    "Memory bandwidth limits how fast a single sequence can be decoded on one accelerator.",
    "Blocks of sixteen tokens are handed out as they are needed and taken back at the end.",
    "When there are no free blocks left, the last request that was admitted loses its own.",
    "Long prompts are split into chunks so that short answers do not have to wait for them.",
    "Pictures are cut into small patches, and four patches together become one token.",
    "Please summarise the report in three short sentences and list the open questions.",
    "The scratch disk is fast, large and empty after every new start of the machine.",
    "Nothing is measured here; the times are those of a model and never of a real device.",
    "Once upon a time a traveller crossed the river by night and found the village asleep.",
    "In the morning the market opened and people came from all sides to buy bread and fruit.",
    "Water boils at one hundred degrees when the pressure is that of the air at sea level.",
    "Light takes about eight minutes from the sun to the earth, and four years to the next star.",
    "The committee agreed to meet again on Thursday at nine o'clock in the usual place.",
    "According to the contract the supplier delivers within thirty days after the order.",
    "Figures in brackets are negative; amounts are given in thousands unless stated otherwise.",
    "def main(argv: list[str]) -> int: return 0 if not argv else len(argv) # 0123456789",
    '{"model": "toy", "messages": [{"role": "user", "content": "hello"}], "stream": true}',
    "She wrote that the experiment had failed twice before it gave a result worth keeping.",
    "He answered that patience, clean instruments and good notes were the better half of it.",
    "Trains leave every twenty minutes between six and midnight; bicycles travel free of charge.",
    "Forests, fields, mountains, lakes and coasts cover most of the northern part of the country.",
    "The museum keeps letters, maps, drawings, coins and clothes from five different centuries.",
    "Doctors, teachers, drivers, farmers and engineers were asked what they expect of machines.",
    "Red, green, blue, yellow, black, white, brown, orange, purple, grey and silver were offered.",
    "January, February, March, April, May, June, July, August, September, October, November.",
)
