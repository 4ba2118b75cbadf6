"""The API client against real HTTP."""

from __future__ import annotations

import pytest
from droplet_cloud import GPU_SIZE, Fault
from droplet_world import World

from rocminfra.droplets.access import Access, Token
from rocminfra.droplets.api_errors import refused
from rocminfra.droplets.client import CloudClient
from rocminfra.droplets.http import PATIENCE_S
from rocminfra.failure import ExitCode, FailedError


def test_a_list_is_read_page_by_page(made: World) -> None:
    sizes = made.cloud().client.sizes()
    assert [size.slug for size in sizes][1] == GPU_SIZE
    assert len(sizes) == 4  # two pages of the stub's
    assert sizes[3].scratch_gib == 40960
    assert [size.creatable for size in sizes] == [True, True, False, True]


def test_gpu_droplets_are_found_although_the_plain_list_leaves_them_out(made: World) -> None:
    for size in (GPU_SIZE, "s-1vcpu-1gb"):
        made.stub.create({"name": "a", "size": size, "region": "atl1", "tags": ["x"]})
    plain = made.stub.answer("GET", "/v2/droplets", None)[1]["droplets"]
    assert [item["size_slug"] for item in plain] == ["s-1vcpu-1gb"]
    found = made.cloud().client.droplets()
    assert [item.size for item in found] == [GPU_SIZE, "s-1vcpu-1gb"]


def test_retry_after_is_kept_and_told(made: World) -> None:
    cloud = made.cloud()
    before = made.time.now
    made.stub.faults.append(Fault("limit", "GET", "sizes", times=2))
    cloud.client.sizes()
    assert made.time.now - before == pytest.approx(14)
    assert made.said[-1].endswith("said 429; trying again in 7 s")


def test_a_cloud_that_stays_sick_is_given_up_after_its_patience(made: World) -> None:
    cloud = made.cloud()
    before = made.time.now
    made.stub.faults.append(Fault("sick", "GET", "sizes"))
    with pytest.raises(FailedError) as caught:
        cloud.client.sizes()
    assert caught.value.failure.kind is ExitCode.UNREACHABLE
    assert made.time.now - before <= PATIENCE_S


@pytest.mark.parametrize("fault", ["lost", "hang"])
def test_a_droplet_whose_end_was_not_answered_was_destroyed_by_us(made: World, fault: str) -> None:
    made.stub.create({"name": "a", "size": GPU_SIZE, "region": "atl1", "tags": ["x"]})
    number = made.stub.droplets[0].id
    made.stub.faults.append(Fault(fault, "DELETE", "droplets", times=1))
    assert made.cloud().client.destroy(number)
    assert made.stub.alive == []
    assert len(made.requests("DELETE")) == 2
    assert not made.cloud().client.destroy(number)


def test_a_wrong_token_names_the_host_that_answered(made: World) -> None:
    wrong = "dop_v1_of-another-cloud"
    access = Access(made.url, Token(wrong))
    client = CloudClient(access, made.time.clock, made.said.append, 0.3)
    with pytest.raises(FailedError) as caught:
        client.account()
    failure = caught.value.failure
    assert failure.kind is ExitCode.UNREACHABLE
    assert failure.what == "127.0.0.1 does not know this token"
    assert failure.why[0] == "127.0.0.1 said 401: Unable to authenticate you"
    assert wrong not in f"{failure} {access} {made.said}"


@pytest.mark.parametrize(
    ("endpoint", "where"),
    [
        ("https://api.devcloud.amd.com", "https://devcloud.amd.com, API in the menu"),
        ("https://api.digitalocean.com", "https://cloud.digitalocean.com/account/api/tokens"),
    ],
)
def test_a_wrong_token_says_where_to_make_the_right_one(endpoint: str, where: str) -> None:
    failure = refused(401, b"{}", None, endpoint, "reading")
    assert where in str(failure.next)
    assert "do not work here" in failure.why[1]


def test_a_redirect_says_where_it_leads_and_is_not_followed() -> None:
    failure = refused(
        301, b"", "https://api.devcloud.amd.com/v2/x", "https://api-amd.example", "creating"
    )
    assert "redirects to api.devcloud.amd.com" in failure.what
    assert "ROCMINFRA_DROPLET_ENDPOINT=https://api.devcloud.amd.com" in str(failure.next)


def test_a_token_shows_itself_nowhere() -> None:
    token = Token("secret")
    assert "secret" not in f"{token} {token!r} {vars(Access('https://x', token))}"
