"""Models on the operator's machine: what a folder or the hub's cache holds, without loading it."""

from __future__ import annotations

from rocminfra.model_files.hub_models import planning_hub
from rocminfra.model_files.loading import load_model
from rocminfra.model_files.local_folder import files_to_serve, folder_problem
from rocminfra.model_files.weights import tensor_bytes

__all__ = ["files_to_serve", "folder_problem", "load_model", "planning_hub", "tensor_bytes"]
