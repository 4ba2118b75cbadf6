"""What a run's tokens cost, and what another node would have to do to be cheaper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rocminfra.planning.cost import SECONDS_PER_HOUR, usd_per_million_tokens
from rocminfra.report.point_report import Cost, Figures, PointReport
from rocminfra.report.summary import Alternative, BreakEven, Economics


@dataclass(frozen=True)
class Node:
    """A node of the alternatives.

    + name: such as ``2 x H100-80GB``
    + usd_per_hour: lowest and highest price of the whole node
    """

    name: str
    usd_per_hour: tuple[float, float]
    tensor_parallel: int
    memory_gb: float


def nodes(reference: Mapping[str, Any]) -> tuple[Node, ...]:
    """The alternatives of ``benchmarks/reference.yaml``, whose prices are a card's."""
    return tuple(
        Node(
            one["node"],
            (
                one["usd_per_card_hour"][0] * one["tensor_parallel"],
                one["usd_per_card_hour"][1] * one["tensor_parallel"],
            ),
            one["tensor_parallel"],
            one["memory_gb"],
        )
        for one in reference.get("alternatives", ())
    )


def cost(figures: Figures, usd_per_hour: float | None) -> Cost | None:
    """The price of a point's work; None without a price.

    + usd_per_hour: price of the serving node
    """
    if usd_per_hour is None or usd_per_hour < 0:
        return None

    def per_million(rate: float | None) -> float | None:
        return usd_per_million_tokens(usd_per_hour, rate) if rate else None

    requests = None
    if figures.requests_per_s and usd_per_hour > 0:
        requests = figures.requests_per_s * SECONDS_PER_HOUR / usd_per_hour
    return Cost(
        usd_per_million_tokens=per_million(figures.tokens_per_s),
        usd_per_million_output_tokens=per_million(figures.output_tokens_per_s),
        usd_per_million_completed_tokens=per_million(figures.completed_tokens_per_s),
        requests_per_usd=requests,
    )


def economics(
    point: PointReport | None, usd_per_hour: float | None, alternatives: Sequence[Node]
) -> Economics | None:
    """The price at a point and what it is beside other nodes; None without a point.

    + point: the saturation
    + usd_per_hour: price of the node that was measured
    """
    if point is None or point.figures is None:
        return None
    figures = point.figures
    price = cost(figures, usd_per_hour)
    if price is None or not usd_per_hour:
        return Economics(usd_per_hour, point.name, price, _explanation(figures, price))
    return Economics(
        usd_per_hour,
        point.name,
        price,
        _explanation(figures, price),
        tuple(_alternative(node, figures, usd_per_hour) for node in alternatives),
        tuple(
            BreakEven(f"{node.name} at ${dollars:.2f} an hour", usd_per_hour / dollars)
            for node in alternatives
            for dollars in dict.fromkeys(node.usd_per_hour)
        ),
    )


def _explanation(figures: Figures, price: Cost | None) -> str:
    if price is None:
        return "no price: cost.usd_per_hour is not set"
    every, done = figures.tokens_per_s, figures.completed_tokens_per_s
    if not every or not done:
        return "one of the two throughputs was not measured"
    assert price.usd_per_million_tokens is not None
    assert price.usd_per_million_completed_tokens is not None
    if done >= every:
        return (
            f"every token belongs to a completed request ({every:,.0f} tokens/s), so the two "
            "prices are the same"
        )
    return (
        f"{every:,.0f} tokens/s, those of requests still unfinished when the load ended included, "
        f"cost ${price.usd_per_million_tokens:.3f} a million; the {done:,.0f} tokens/s of "
        f"completed requests alone cost ${price.usd_per_million_completed_tokens:.3f}: "
        f"{1 - done / every:.0%} of the work was for answers that nobody got in the window"
    )


def _alternative(node: Node, figures: Figures, usd_per_hour: float) -> Alternative:
    low, high = (dollars / usd_per_hour for dollars in node.usd_per_hour)
    rate = figures.tokens_per_s
    return Alternative(
        node=node.name,
        usd_per_hour_low=node.usd_per_hour[0],
        usd_per_hour_high=node.usd_per_hour[1],
        breakeven_tokens_per_s_low=None if not rate else rate * low,
        breakeven_tokens_per_s_high=None if not rate else rate * high,
        speedup_low=low,
        speedup_high=high,
        known=(
            f"${node.usd_per_hour[0]:.2f} to ${node.usd_per_hour[1]:.2f} an hour for the node "
            "(published with the reference run)",
            f"{node.memory_gb:g} GB of memory in {node.tensor_parallel} cards",
        ),
        assumed=(
            f"that the model fits at tensor parallel {node.tensor_parallel}: "
            "`rocminfra capacity` says so or not",
            "its throughput: nobody measured it here, so only what it would have to reach is said",
        ),
    )
