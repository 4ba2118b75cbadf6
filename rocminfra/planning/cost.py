"""The cost of a million tokens."""

from __future__ import annotations

SECONDS_PER_HOUR = 3600
MILLION = 1_000_000


def usd_per_million_tokens(usd_per_hour: float, tokens_per_second: float) -> float:
    """Price of a million tokens in US dollars.

    + usd_per_hour: price of the serving node
    + tokens_per_second: its throughput, of all tokens or of completed requests

    price / (tokens per second × 3600 / 10⁶). Raises ValueError for a throughput that is not
    positive, for which there is no price per token.
    """
    if tokens_per_second <= 0:
        raise ValueError(f"there is no price per token at {tokens_per_second} tokens/s")
    if usd_per_hour < 0:
        raise ValueError(f"a node cannot cost ${usd_per_hour}/h")
    return usd_per_hour / (tokens_per_second * SECONDS_PER_HOUR / MILLION)
