"""blkid and wipefs, read: real outputs, and outputs that no tool should give."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocminfra.facts.signatures import blkid_look, wipefs_look
from rocminfra.planning.disk.observation import Finding, Signature

XFS = """\
DEVNAME=/dev/vdc
LABEL=rocm-models
UUID=11111111-2222-3333-4444-555555555555
BLOCK_SIZE=512
TYPE=xfs
USAGE=filesystem
"""
LVM = "DEVNAME=/dev/vdc\nUUID=abc-def\nVERSION=LVM2\\ 001\nTYPE=LVM2_member\nUSAGE=raid\n"
GPT = "DEVNAME=/dev/vdc\nPTUUID=240d19a1-ff64-5c21-b646-3e30e8055517\nPTTYPE=gpt\n"
PARTITION = """\
DEVNAME=/dev/vdc1
PART_ENTRY_SCHEME=gpt
PART_ENTRY_NAME=data0
PART_ENTRY_UUID=b5b30ff2-4a0e-5c5b-8a3e-06ac0e1aec25
PART_ENTRY_TYPE=0fc63daf-8483-4772-8e79-3d69d8477de4
PART_ENTRY_NUMBER=1
PART_ENTRY_OFFSET=2048
PART_ENTRY_SIZE=651265
PART_ENTRY_DISK=252:32
"""
ODD_LABEL = "DEVNAME=/dev/vdc\nLABEL=a\\ b\\ ü\nUUID=u\nTYPE=xfs\n"
WIPEFS = """\
{
   "signatures": [
      {
         "device": "vdc",
         "offset": "0x0",
         "type": "xfs",
         "uuid": "11111111-2222-3333-4444-555555555555",
         "label": "rocm-models"
      }
   ]
}
"""


def ran(rc: int | None, out: str = "", err: str = "") -> dict[str, Any]:
    return {"rc": rc, "out": out, "err": err}


@pytest.mark.parametrize(
    ("run", "finding"),
    [
        (ran(2), Finding.BLANK),
        (ran(0, PARTITION), Finding.BLANK),
        (ran(0, XFS), Finding.DATA),
        (ran(0, PARTITION + "TYPE=ext4\n"), Finding.DATA),
        (ran(0, PARTITION + "PTTYPE=dos\n"), Finding.DATA),
        (ran(0, "DEVNAME=/dev/vdc\n"), Finding.DATA),
        (ran(0, "DEVNAME=/dev/vdc\nFUTURE=1\n"), Finding.DATA),
        (ran(8), Finding.DATA),
        (ran(2, "", "blkid: error: /dev/vdc: Input/output error"), Finding.UNKNOWN),
        (ran(2, "DEVNAME=/dev/vdc\n"), Finding.UNKNOWN),
        (ran(0, ""), Finding.UNKNOWN),
        (ran(0, "hello"), Finding.UNKNOWN),
        (ran(4, XFS), Finding.UNKNOWN),
        (ran(-9), Finding.UNKNOWN),
        (ran(127), Finding.UNKNOWN),
        (ran(None, "", "not installed"), Finding.UNKNOWN),
        (ran(None, "", "no answer within 20 s"), Finding.UNKNOWN),
        (None, Finding.UNKNOWN),
        ({}, Finding.UNKNOWN),
    ],
)
def test_blkid(run: Any, finding: Finding) -> None:
    assert blkid_look(run).finding is finding


@pytest.mark.parametrize(
    ("run", "finding"),
    [
        (ran(0, '{\n   "signatures": [\n\n   ]\n}\n'), Finding.BLANK),
        (ran(0, WIPEFS), Finding.DATA),
        (ran(0, ""), Finding.UNKNOWN),
        (ran(0, "{}"), Finding.UNKNOWN),
        (ran(0, "[]"), Finding.UNKNOWN),
        (ran(0, "null"), Finding.UNKNOWN),
        (ran(0, WIPEFS[:60]), Finding.UNKNOWN),
        (ran(0, '{"signatures": null}'), Finding.UNKNOWN),
        (ran(0, '{"signatures": [1]}'), Finding.UNKNOWN),
        (ran(0, '{"signatures": [{"offset": "0x0"}]}'), Finding.UNKNOWN),
        (ran(0, '{"signatures": []}', "wipefs: warning"), Finding.UNKNOWN),
        (ran(1, '{"signatures": []}'), Finding.UNKNOWN),
        (ran(None), Finding.UNKNOWN),
        (None, Finding.UNKNOWN),
    ],
)
def test_wipefs(run: Any, finding: Finding) -> None:
    assert wipefs_look(run).finding is finding


def test_what_was_recognised() -> None:
    xfs = Signature("xfs", "11111111-2222-3333-4444-555555555555", "rocm-models")
    assert blkid_look(ran(0, XFS)).signatures == (xfs,)
    assert wipefs_look(ran(0, WIPEFS)).signatures == (xfs,)
    assert blkid_look(ran(0, LVM)).signatures == (Signature("LVM2_member", "abc-def"),)
    assert blkid_look(ran(0, GPT)).signatures[0].kind == "gpt"
    assert blkid_look(ran(0, ODD_LABEL)).signatures[0].label == "a b ü"


RUNS = st.one_of(
    st.none(),
    st.fixed_dictionaries(
        {
            "rc": st.one_of(st.none(), st.integers(-15, 130)),
            "out": st.one_of(st.text(), st.sampled_from((XFS, GPT, WIPEFS, '{"signatures": []}'))),
            "err": st.text(),
        }
    ),
)


@given(RUNS)
def test_blank_is_said_by_one_answer_only(run: Any) -> None:
    if blkid_look(run).finding is Finding.BLANK:
        assert (run["rc"], run["out"].strip(), run["err"]) == (2, "", "")
    if wipefs_look(run).finding is Finding.BLANK:
        assert (run["rc"], run["err"]) == (0, "")
