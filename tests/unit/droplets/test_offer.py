"""What is created and what it costs: pure decisions."""

from __future__ import annotations

import droplet_cloud
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocminfra.droplets.offer import LEAST_HOURS, Offer, Wanted, fingerprint, offer
from rocminfra.droplets.records import Image, SshKey, size_of
from rocminfra.failure import ExitCode, Failure

SIZES = tuple(size_of(item) for item in droplet_cloud.sizes())
IMAGES = (Image("gpu-amd-base", "AMD", ()), Image("ubuntu-24-04-x64", "Ubuntu", ("nyc3",)))
KEYS = (SshKey(11, "laptop", "aa:bb"), SshKey(12, "ci", "cc:dd"), SshKey(13, "ci", "ee:ff"))


def decide(**wanted: object) -> Offer | Failure:
    asked = Wanted(**{"name": "a", "ssh_keys": ("laptop",), **wanted})  # type: ignore[arg-type]
    return offer(asked, SIZES, IMAGES, KEYS)


def refusal(**wanted: object) -> tuple[ExitCode, str]:
    found = decide(**wanted)
    assert isinstance(found, Failure)
    return found.kind, f"{found.what} | {' | '.join(found.why)} | {found.next}"


def test_the_default_is_the_cheapest_mi300x_that_can_be_created() -> None:
    found = decide()
    assert isinstance(found, Offer)
    assert (found.size.slug, found.region) == (droplet_cloud.GPU_SIZE, "atl1")
    assert found.hours == 3
    assert found.usd == pytest.approx(5.97)


def test_an_unknown_size() -> None:
    code, text = refusal(size="gpu-mi300x1-192")
    assert code is ExitCode.UNFIT
    assert "did you mean 'gpu-mi300x1-192gb'?" in text


def test_a_size_that_is_available_and_nowhere() -> None:
    code, text = refusal(size="gpu-mi300x1-192gb")
    assert code is ExitCode.UNFIT
    assert "no region has a gpu-mi300x1-192gb now" in text
    assert "there is gpu-mi300x1-192gb-devcloud at $1.99 an hour in: atl1" in text


def test_a_region_without_capacity_names_the_regions_that_have_some() -> None:
    code, text = refusal(size="gpu-mi300x8-1536gb-devcloud", region="nyc1")
    assert code is ExitCode.UNFIT
    assert "can be created in: atl1, tor1" in text
    assert "--region atl1" in text


def test_an_unknown_key_names_those_of_the_account() -> None:
    code, text = refusal(ssh_keys=("desktop",))
    assert code is ExitCode.SETTINGS
    assert "laptop (11), ci (12), ci (13)" in text


def test_a_name_that_two_keys_have() -> None:
    code, text = refusal(ssh_keys=("ci",))
    assert code is ExitCode.SETTINGS
    assert "--ssh-key ID" in text


def test_keys_of_this_machine_are_taken_when_none_is_named() -> None:
    public = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFakeKeyFakeKeyFakeKeyFakeKeyFakeKeyFake me"
    mine = SshKey(14, "mine", fingerprint(public) or "")
    found = offer(Wanted("a"), SIZES, IMAGES, (*KEYS, mine), (public,))
    assert isinstance(found, Offer)
    assert found.ssh_keys == (mine,)
    assert isinstance(offer(Wanted("a"), SIZES, IMAGES, KEYS, (public,)), Failure)


def test_a_fingerprint_is_what_ssh_keygen_says() -> None:
    # ssh-keygen -l -E md5 of this very key.
    public = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAoQDU9in+e4lG++g0WbOJbnlM8YnHpO7HMQ0KhFgPUP x"
    assert fingerprint(public) == "b8:17:89:30:a6:10:03:c3:ea:db:4c:34:94:49:05:4d"
    assert fingerprint("no key") is None


def test_an_unknown_image() -> None:
    code, text = refusal(image="gpu-amd-bas")
    assert code is ExitCode.UNFIT
    assert "similar: gpu-amd-base" in text


def test_a_price_above_the_limit_says_what_fits() -> None:
    code, text = refusal(max_hours=4, max_usd=5)
    assert code is ExitCode.REFUSED
    assert "4 h are $7.96" in text
    assert "--max-hours 2.51" in text


def test_a_limit_below_the_least_that_is_billed() -> None:
    code, text = refusal(max_usd=0.05)
    assert code is ExitCode.REFUSED
    assert "five minutes" in text


@given(
    hours=st.none() | st.floats(0.05, 300),
    usd=st.none() | st.floats(0.01, 500),
)
def test_no_offer_costs_more_than_its_limit(hours: float | None, usd: float | None) -> None:
    found = decide(max_hours=hours, max_usd=usd)
    if isinstance(found, Failure):
        assert found.kind is ExitCode.REFUSED
        assert usd is not None
        return
    assert found.hours <= (hours if hours is not None else 3)
    least = found.size.usd_per_hour * max(found.hours, LEAST_HOURS)
    assert found.usd == pytest.approx(least)
    assert usd is None or found.usd <= usd * 1.00001
