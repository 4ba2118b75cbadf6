"""Typed settings, where they are read from, and what is wrong with them."""

from __future__ import annotations

from rocminfra.settings.kinds import (
    AbsolutePath,
    ContainerName,
    EnvironmentName,
    OneLine,
    OneLineOrEmpty,
    UserName,
)
from rocminfra.settings.load import known_keys, load_settings, nearest_key
from rocminfra.settings.problems import Problem, SettingsError
from rocminfra.settings.schema import (
    SECTIONS,
    Bench,
    Cost,
    Docker,
    Engine,
    HuggingFace,
    Model,
    Rocm,
    Section,
    Settings,
    Storage,
    Vllm,
)

__all__ = [
    "SECTIONS",
    "AbsolutePath",
    "Bench",
    "ContainerName",
    "Cost",
    "Docker",
    "Engine",
    "EnvironmentName",
    "HuggingFace",
    "Model",
    "OneLine",
    "OneLineOrEmpty",
    "Problem",
    "Rocm",
    "Section",
    "Settings",
    "SettingsError",
    "Storage",
    "UserName",
    "Vllm",
    "known_keys",
    "load_settings",
    "nearest_key",
]
