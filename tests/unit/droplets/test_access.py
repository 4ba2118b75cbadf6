"""Token and endpoint, as the environment names them."""

from __future__ import annotations

from pathlib import Path

import pytest

from rocminfra.droplets.access import AMD, read_access
from rocminfra.failure import ExitCode, FailedError


def failure_of(environ: dict[str, str]) -> tuple[ExitCode, str]:
    with pytest.raises(FailedError) as caught:
        read_access(environ)
    return caught.value.failure.kind, f"{caught.value.failure}"


def test_the_default_is_amds_cloud() -> None:
    assert read_access({"ROCMINFRA_DROPLET_TOKEN": "t"}).endpoint == AMD


def test_a_file_may_hold_the_token(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("t\n")
    access = read_access({"ROCMINFRA_DROPLET_TOKEN_FILE": str(file)})
    assert access.token.header() == {"Authorization": "Bearer t"}


def test_no_token() -> None:
    code, text = failure_of({})
    assert code is ExitCode.UNREACHABLE
    assert "devcloud.amd.com" in text
    assert "export ROCMINFRA_DROPLET_TOKEN_FILE=FILE" in text


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    code, text = failure_of({"ROCMINFRA_DROPLET_TOKEN_FILE": str(tmp_path / "none")})
    assert code is ExitCode.UNREACHABLE
    assert "No such file" in text


def test_a_token_that_would_break_its_header_is_not_repeated() -> None:
    code, text = failure_of({"ROCMINFRA_DROPLET_TOKEN": "half secret\nX-Header: y"})
    assert code is ExitCode.UNREACHABLE
    assert "half secret" not in text


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://api.example.com", "would show the token"),
        ("https://user:pw@api.example.com", "no user name or password"),
        ("api.example.com", "must be a URL"),
    ],
)
def test_an_endpoint_that_cannot_be_used(url: str, says: str) -> None:
    code, text = failure_of({"ROCMINFRA_DROPLET_TOKEN": "t", "ROCMINFRA_DROPLET_ENDPOINT": url})
    assert code is ExitCode.SETTINGS
    assert says in text
    assert "pw@" not in text
