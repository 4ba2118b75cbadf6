"""Configurations of public models, as their repositories have them (unused keys left out)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rocminfra.planning.model.config import read_model
from rocminfra.planning.model.spec import ModelSpec

FOLDER = Path(__file__).parent / "models"
# `metadata.total_size` of its safetensors index; a quantized model is not known without it.
DEEPSEEK_V3_BYTES = 688_586_727_753


def config(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return loaded


def model(name: str) -> ModelSpec:
    weights = DEEPSEEK_V3_BYTES if name == "deepseek-v3" else None
    return read_model(config(name), name, weights_bytes=weights)
