"""What a plan says of what it would do."""

from __future__ import annotations

import pytest

from rocminfra.planning.foreseen import (
    DOWNLOAD_BYTES_PER_S,
    LOAD_BYTES_PER_S,
    START_S,
    Foreseen,
    argument_changes,
    difference,
    estimate,
)

BEFORE = r"""
ExecStart=/usr/bin/docker run \
  --init \
  --label=rocminfra.config=aaaa \
  --group-add=44 \
  image@sha256:1 \
  --max-num-seqs=64 \
  "--served-model-name=a b" \
  --enforce-eager
"""


def test_no_change_says_nothing() -> None:
    other_hash = BEFORE.replace("aaaa", "bbbb")
    assert argument_changes(BEFORE, other_hash) == ()


def test_changes_are_said_in_words() -> None:
    after = BEFORE.replace("seqs=64", "seqs=32").replace("--enforce-eager", "--swap-space=4")
    after = after.replace("  --group-add=44 \\\n", "  --group-add=44 \\\n  --group-add=992 \\\n")
    assert set(argument_changes(BEFORE, after)) == {
        "--max-num-seqs 64 → 32",
        "--enforce-eager is gone",
        "--swap-space is new: 4",
        "--group-add is new: 992",
    }
    assert argument_changes("", "  --served-model-name=x \\") == ("--served-model-name is new: x",)


def test_a_diff_has_only_what_changes_and_a_little_around_it() -> None:
    before = [str(number) for number in range(20)]
    after = [*before[:10], "ten", *before[11:]]
    assert difference(before, after) == (" 8", " 9", "-10", "+ten", " 11", " 12")


def test_time_and_price_are_those_of_downloads_and_starts() -> None:
    found = estimate(
        [
            Foreseen("a file"),
            Foreseen("image", download_bytes=int(DOWNLOAD_BYTES_PER_S * 60)),
            Foreseen("weights", fetches_weights=True),
            # Two operations that name the unit restart it once.
            Foreseen("restart", restarts="vllm.service"),
            Foreseen("start", restarts="vllm.service"),
            Foreseen("the model fits", weights_bytes=140_000_000_000),
        ]
    )
    both = 140e9 / DOWNLOAD_BYTES_PER_S + 140e9 / LOAD_BYTES_PER_S
    assert found.seconds == pytest.approx(60 + both + START_S)
    assert found.usd(3600) == pytest.approx(found.seconds)
    assert not found.is_estimate
    assert estimate([Foreseen("start", restarts="x")]).is_estimate
    assert estimate([]).seconds == 0
