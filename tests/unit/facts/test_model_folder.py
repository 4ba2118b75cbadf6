"""A copied model folder."""

from __future__ import annotations

import pytest

from rocminfra.facts.model_folder import CopiedFile, ModelFolder


def test_model_folder_with_a_damaged_manifest_line() -> None:
    output = ["2 config.json", "7 sub/my model.safetensors", "--- manifest ---"]
    output += ["aa 2 5 config.json", "bb x 5 damaged", "cut"]
    folder = ModelFolder().process(output)
    assert folder.sizes == (("config.json", 2), ("sub/my model.safetensors", 7))
    assert folder.copied == (CopiedFile("config.json", 2, 5, "aa"),)


@pytest.mark.parametrize("path", ["../../root/precious", "/root/precious", "a/../../b", "."])
def test_a_manifest_line_that_leads_out_of_the_folder_is_damage(path: str) -> None:
    # The manifest is a file on the scratch disk: whoever writes it must not choose what is removed.
    assert ModelFolder().process(["--- manifest ---", f"{'0' * 64} 5 1 {path}"]).copied == ()


def test_manifest_lines_survive_a_round_trip() -> None:
    file = CopiedFile("sub/my model.bin", 7, 123, "ab")
    assert ModelFolder().process(["--- manifest ---", file.line()]).copied == (file,)


def test_its_arguments_are_quoted() -> None:
    assert "'/m m'" in str(ModelFolder().command("/m m"))
