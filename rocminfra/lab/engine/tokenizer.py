"""Count tokens with the served model's tokenizer, and build answers from its tokens."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

from tokenizers import Tokenizer

# Text of an answer if the vocabulary has no plain words.
_FALLBACK_WORDS = (" the", " a", " of", " to")
_MAX_WORDS = 512


class ServedTokenizer:
    """``tokenizer.json`` of a model folder.

    + folder: the model's

    Raises OSError with vLLM's message if it has no tokenizer.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / "tokenizer.json"
        if not path.is_file():
            raise OSError(
                f"Can't load tokenizer for '{folder}'. If you were trying to load it from "
                "'https://huggingface.co/models', make sure you don't have a local directory "
                f"with the same name. Otherwise, make sure '{folder}' is the correct path to a "
                "directory containing all relevant files for a Qwen2TokenizerFast tokenizer."
            )
        self._tokenizer = Tokenizer.from_file(str(path))
        # JSON strings without quotes: they are inserted into answers one token at a time.
        self.json_words = tuple(
            json.dumps(word)[1:-1].encode() for word in _plain_words(self._tokenizer)
        )
        self.count = lru_cache(maxsize=64)(self._count)

    def encode(self, text: str) -> list[int]:
        """Ids of ``text``."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def decode(self, ids: list[int]) -> str:
        """Text of ``ids``."""
        text: str = self._tokenizer.decode(ids, skip_special_tokens=False)
        return text

    def _count(self, text: str) -> int:
        return len(self.encode(text))


def _plain_words(tokenizer: Tokenizer) -> tuple[str, ...]:
    """Tokens that consist of a space and lower-case letters, in the vocabulary's order."""
    vocabulary: dict[str, int] = tokenizer.get_vocab()
    # Byte-level BPE writes a leading space as U+0120.
    found = sorted(
        (index, token)
        for token, index in vocabulary.items()
        if token.startswith("\u0120") and token[1:].isascii() and token[1:].islower()
    )
    words = tuple(f" {token[1:]}" for _, token in found[:_MAX_WORDS])
    return words if len(words) >= len(_FALLBACK_WORDS) else _FALLBACK_WORDS
