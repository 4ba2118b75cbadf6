"""Secrets by reference, read from the operator's environment or a file when they are needed."""

from __future__ import annotations

import os
from pathlib import Path

from rocminfra.settings import HuggingFace


def hub_token(settings: HuggingFace) -> str | None:
    """The operator's Hugging Face token, or None.

    + settings: names the environment variable and the file, which takes precedence

    Raises OSError if a file is named but cannot be read.
    """
    if settings.token_file is not None:
        return Path(settings.token_file).read_text(encoding="utf-8").strip() or None
    return os.environ.get(settings.token_env, "").strip() or None
