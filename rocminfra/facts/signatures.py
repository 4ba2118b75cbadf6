"""Parse what blkid and wipefs report about a device.

"Blank" is said by one exact answer of each tool, and by nothing else: blkid's exit code 2 with
nothing on either output (of a partition, exit code 0 with nothing but its line in the partition
table), wipefs's exit code 0 with an empty list. blkid's code 2 also means "no
such device" (blkid(8)) and, with util-linux 2.41, "more than one signature", which is code 8 with
older ones: it never counts alone.
"""

from __future__ import annotations

import re
from typing import Any

from rocminfra.facts.tool_output import NotUnderstood, check_run, failure, loads_tool
from rocminfra.planning.disk.observation import Finding, Look, Signature

_ENTRY = "PART_ENTRY_"


def blkid_look(run: Any) -> Look:
    """Outcome of ``blkid -p -o export DEVICE``."""
    try:
        check_run(run, "blkid")
        if run["rc"] == 8:  # ambivalent low-level probing result, blkid(8)
            return Look("blkid", Finding.DATA, "more than one signature (ambivalent)")
        if run["rc"] == 2 and not run["out"].strip() and not run["err"]:
            return Look("blkid", Finding.BLANK, "nothing recognised")
        if run["rc"] != 0:
            raise NotUnderstood(failure(run, "blkid"))
        found = _export(run["out"])
    except NotUnderstood as error:
        return Look("blkid", Finding.UNKNOWN, str(error))
    signatures = tuple(
        Signature(found[key], found.get(uuid), found.get("LABEL") if key == "TYPE" else None)
        for key, uuid in (("TYPE", "UUID"), ("PTTYPE", "PTUUID"))
        if key in found
    )
    if set(found) - {"DEVNAME"} and all(k == "DEVNAME" or k.startswith(_ENTRY) for k in found):
        # For a partition, blkid prints its entry in the table and exits with 0.
        return Look("blkid", Finding.BLANK, "nothing recognised in the partition")
    if not signatures:
        # Only DEVNAME, or keys of a newer blkid: the device has contents that we cannot identify.
        return Look("blkid", Finding.DATA, f"unknown contents: {' '.join(sorted(found))}")
    return Look("blkid", Finding.DATA, _told(signatures), signatures)


def partition_entry(run: Any) -> dict[str, str]:
    """The partition's table entry from blkid's output; empty for anything else."""
    try:
        check_run(run, "blkid")
        found = _export(run["out"])
    except NotUnderstood:
        return {}
    return {key: value for key, value in found.items() if key.startswith(_ENTRY)}


def wipefs_look(run: Any) -> Look:
    """Outcome of ``wipefs --no-act -J DEVICE``."""
    try:
        document = loads_tool(run, "wipefs")
        entries = document.get("signatures") if isinstance(document, dict) else None
        if not isinstance(entries, list) or run["err"]:
            raise NotUnderstood(f"wipefs printed unexpected output: {run['out'][:80]!r}")
        signatures = tuple(dict.fromkeys(_signature(entry) for entry in entries))
    except NotUnderstood as error:
        return Look("wipefs", Finding.UNKNOWN, str(error))
    if not signatures:
        return Look("wipefs", Finding.BLANK, "no signature")
    return Look("wipefs", Finding.DATA, _told(signatures), signatures)


def _export(text: str) -> dict[str, str]:
    found = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if not equals or not re.fullmatch(r"[A-Z][A-Z0-9_]*", key):
            raise NotUnderstood(f"blkid printed unexpected output: {line[:80]!r}")
        found[key] = re.sub(r"\\(.)", r"\1", value)
    if not found:
        raise NotUnderstood("blkid succeeded and printed nothing")
    return found


def _signature(entry: Any) -> Signature:
    if not isinstance(entry, dict) or not isinstance(entry.get("type"), str):
        raise NotUnderstood(f"wipefs printed unexpected output: {entry!r}")
    return Signature(entry["type"], entry.get("uuid") or None, entry.get("label") or None)


def _told(signatures: tuple[Signature, ...]) -> str:
    texts = []
    for signature in signatures:
        text = signature.kind
        if signature.label is not None:
            text += f", label {signature.label!r}"
        if signature.uuid is not None:
            text += f", UUID {signature.uuid}"
        texts.append(text)
    return "; ".join(texts)
