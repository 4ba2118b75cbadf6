"""Files that are kept for a way back."""

from __future__ import annotations

from rocminfra.facts.kept_files import Kept, KeptFiles


def test_what_is_kept_has_a_label_and_a_note() -> None:
    assert KeptFiles().process(['{"label": "vllm.service",', '"note": "n"}']) == Kept(
        "vllm.service", "n"
    )
    assert KeptFiles().process([]) is None


def test_its_arguments_are_quoted() -> None:
    assert "'/a b/index.json'" in str(KeptFiles().command("/a b"))
