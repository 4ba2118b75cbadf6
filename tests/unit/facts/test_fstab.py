"""/etc/fstab, read and written."""

from __future__ import annotations

import pytest

from rocminfra.facts.fstab import escape, fstab_line, parse_fstab, unescape
from rocminfra.facts.tool_output import NotUnderstood


def test_fstab_fields_survive_spaces_tabs_backslashes_and_umlauts() -> None:
    for text in ("/mnt/a b", "/mnt/a\tb\\c", "/mnt/großer Platz", "#odd", "/mnt/\udcff"):
        assert unescape(escape(text)) == text
    line = fstab_line("u-1", "/mnt/a b", ("nofail", "noatime"))
    assert line == "UUID=u-1 /mnt/a\\040b xfs nofail,noatime 0 0"
    assert parse_fstab(line, {})[0].target == "/mnt/a b"


def test_fstab_with_comments_and_short_lines() -> None:
    lines = parse_fstab("\n  # x\nLABEL=a //a\n/dev/vdc /b/./ xfs\n", {"/dev/vdc": "252:32"})
    assert [(x.source, x.target, x.kind, x.options, x.device) for x in lines] == [
        ("LABEL=a", "/a", "auto", ("defaults",), None),
        ("/dev/vdc", "/b", "xfs", ("defaults",), "252:32"),
    ]
    with pytest.raises(NotUnderstood):
        parse_fstab("oneword\n", {})
