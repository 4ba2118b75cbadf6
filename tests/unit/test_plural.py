"""A number and its noun."""

from rocminfra.plural import plural


def test_one_is_singular_and_thousands_are_grouped() -> None:
    assert plural(1, "point") == "1 point"
    assert plural(0, "point") == "0 points"
    assert plural(1024, "file") == "1,024 files"
