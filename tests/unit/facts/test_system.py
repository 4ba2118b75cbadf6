"""Small things the kernel, systemd and the user database know."""

from __future__ import annotations

from rocminfra.facts.system import GroupExists, KernelSetting, ManagerEnvironment, UserGroups


def test_small_facts() -> None:
    assert KernelSetting().process(["0"]) == "0"
    assert KernelSetting().process([]) is None
    assert ManagerEnvironment().process(["A=1=2", "noise"]) == {"A": "1=2"}
    assert UserGroups().process(["ann ann video"]) == {"ann": frozenset({"ann", "video"})}
    assert GroupExists().process(["yes"]) is True


def test_their_arguments_are_quoted() -> None:
    assert "'a b'" in str(UserGroups().command(["a b"]))
    assert "'$(x)'" in str(GroupExists().command("$(x)"))
    assert "'/proc/sys/a b/c'" in str(KernelSetting().command("a b.c"))
