"""A folder of wheels is enough, or what it lacks is named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rocminfra.planning.wheels import Wheel, WheelLook, problems

MARKERS = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": "3.11.7",
    "python_version": "3.11",
    "sys_platform": "linux",
}
DEMO = Wheel(
    "demo-1.2-py3-none-any.whl",
    ("Typing_Extensions>=4", 'tomli; python_version < "3.11"', 'pillow>=9; extra == "vision"'),
)
TYPING = Wheel("typing_extensions-4.15.0-py3-none-any.whl", ())
PILLOW = Wheel("pillow-12.0.0-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl", ())
LOOK = WheelLook(wheels=(DEMO, TYPING, PILLOW), markers=MARKERS, glibc=(2, 36))


def found(*wheels: Wheel, wanted: str = "demo[vision]==1.2", **changes: object) -> tuple[str, ...]:
    return problems(replace(LOOK, wheels=wheels, **changes), [wanted])  # type: ignore[arg-type]


def test_a_folder_with_all_that_is_needed() -> None:
    assert found(DEMO, TYPING, PILLOW) == ()
    assert found(DEMO, TYPING, wanted="demo") == (), "without the extra, nothing of it"


def test_what_is_missing_is_named_with_who_needs_it() -> None:
    assert found(DEMO) == (
        "no wheel of Typing_Extensions>=4, which demo-1.2-py3-none-any.whl needs",
        "no wheel of pillow>=9, which demo-1.2-py3-none-any.whl needs",
    )
    assert found(TYPING) == ("no wheel of demo[vision]==1.2",)


def test_a_marker_is_judged_by_the_hosts_python() -> None:
    (one,) = found(DEMO, TYPING, wanted="demo", markers={**MARKERS, "python_version": "3.10"})
    assert one.startswith("no wheel of tomli, which demo")


def test_a_version_that_will_not_do() -> None:
    old = replace(TYPING, file="typing_extensions-3.7-py3-none-any.whl")
    (one,) = found(DEMO, old, PILLOW)
    assert one == (
        "no wheel of Typing_Extensions>=4, which demo-1.2-py3-none-any.whl needs: it holds 3.7"
    )


def test_a_local_version_is_the_same_one() -> None:
    torch = Wheel("torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl", ())
    assert found(torch, wanted="torch==2.13.0") == ()


@pytest.mark.parametrize(
    ("file", "fits"),
    [
        ("x-1-py3-none-any.whl", True),
        ("x-1-py2.py3-none-any.whl", True),
        ("x-1-cp311-cp311-manylinux_2_36_x86_64.whl", True),
        ("x-1-cp311-cp311-manylinux_2_37_x86_64.whl", False),
        ("x-1-cp311-cp311-manylinux2014_x86_64.whl", True),
        ("x-1-cp311-cp311-manylinux1_x86_64.whl", True),
        ("x-1-cp311-cp311-linux_x86_64.whl", True),
        ("x-1-cp38-abi3-manylinux_2_17_x86_64.whl", True),
        ("x-1-cp312-abi3-manylinux_2_17_x86_64.whl", False),
        ("x-1-py3-none-manylinux_2_17_x86_64.whl", True),
        ("x-1-cp312-cp312-manylinux_2_28_x86_64.whl", False),
        ("x-1-cp311-cp311-manylinux_2_28_aarch64.whl", False),
        ("x-1-cp311-cp311-musllinux_1_2_x86_64.whl", False),
        ("x-1-cp311-cp311-macosx_11_0_arm64.whl", False),
    ],
)
def test_wheels_of_another_python_or_machine_are_none(file: str, fits: bool) -> None:
    expected = () if fits else (f"{file} is for another Python or machine",)
    assert found(Wheel(file, ()), wanted="x==1") == expected


def test_an_old_glibc_and_another_libc() -> None:
    wheel = Wheel("x-1-cp311-cp311-manylinux_2_28_x86_64.whl", ())
    assert found(wheel, wanted="x", glibc=(2, 28)) == ()
    assert found(wheel, wanted="x", glibc=(2, 27)) != ()
    assert found(wheel, wanted="x", glibc=None) != ()
    assert found(Wheel("x-1-py3-none-any.whl", ()), wanted="x", glibc=None) == ()


def test_a_damaged_wheel_is_named() -> None:
    assert found(replace(DEMO, requires=None)) == (
        "demo-1.2-py3-none-any.whl is damaged: its metadata cannot be read",
    )


def test_among_several_versions_pip_chooses() -> None:
    newer = Wheel("demo-1.3-py3-none-any.whl", ("missing",))
    assert found(DEMO, newer, TYPING, PILLOW, wanted="demo[vision]") == ()


def test_a_source_is_no_wheel() -> None:
    assert found(DEMO, PILLOW, others=("typing_extensions-4.15.0.tar.gz",)) == (
        "no wheel of Typing_Extensions>=4, which demo-1.2-py3-none-any.whl needs: "
        "typing_extensions-4.15.0.tar.gz is no wheel",
    )


def test_requirements_in_a_circle_come_to_an_end() -> None:
    one = Wheel("one-1-py3-none-any.whl", ("two",))
    two = Wheel("two-1-py3-none-any.whl", ("one", "three"))
    assert found(one, two, wanted="one") == (
        "no wheel of three, which two-1-py3-none-any.whl needs",
    )


@pytest.mark.parametrize(
    ("look", "words"),
    [
        (WheelLook(problem="exit code 127"), "exit code 127"),
        (WheelLook(kind="missing"), "there is no such folder on the host"),
        (WheelLook(kind="other"), "it is no folder"),
        (WheelLook(kind="unreadable"), "it cannot be read"),
        (WheelLook(), "it holds no wheel"),
    ],
)
def test_a_folder_that_cannot_be_used(look: WheelLook, words: str) -> None:
    assert problems(look, ["demo"]) == (words,)
