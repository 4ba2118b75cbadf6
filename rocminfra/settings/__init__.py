"""Typed settings: their schema, sources and problems."""

from __future__ import annotations

from rocminfra.settings.bench_section import Bench
from rocminfra.settings.load import known_keys, load_settings, nearest_key
from rocminfra.settings.problems import Problem, SettingsError
from rocminfra.settings.schema import (
    SECTIONS,
    Cost,
    Docker,
    Engine,
    HuggingFace,
    Model,
    Rocm,
    Settings,
    Storage,
    Vllm,
)
from rocminfra.settings.section import Section
from rocminfra.settings.value_types import (
    AbsolutePath,
    ContainerName,
    EnvironmentName,
    OneLine,
    OneLineOrEmpty,
    UserName,
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
