"""A capacity for people: a table, a bar of the memory, and what it means."""

from __future__ import annotations

from rocminfra.planning.capacity.alternatives import Alternative
from rocminfra.planning.capacity.answer import CapacityPlan
from rocminfra.planning.capacity.capacity import Capacity
from rocminfra.planning.capacity.start_up_logs import START_UP_LOGS
from rocminfra.runner.output.capacity_json import setting_of
from rocminfra.runner.output.tables import table_lines

GIB = 1024**3
_BAR = 60


def capacity_lines(plan: CapacityPlan) -> list[str]:
    """What ``rocminfra capacity`` prints."""
    chosen = plan.chosen
    spec, gpu = chosen.spec, chosen.gpu
    lines = [
        f"{spec.name} on {chosen.tensor_parallel} x {gpu.name}: {_verdict(chosen)}",
        "",
        *table_lines(_rows(chosen)),
        "",
        *memory_bar(chosen),
        "",
        *table_lines(
            [("GPUs", "weights/GPU", "KV cache tokens", "x full length", "ITL floor", "fits")]
            + [_size_row(row) for row in plan.sizes]
        ),
    ]
    if chosen.overhead.basis == "range":
        logs = START_UP_LOGS
        lines += [
            "",
            f"how far off it was: of {logs.total} engines that others started, "
            f"{logs.at_least_worst} had at least the worst case, and {logs.near_expected} what is "
            "most likely, within 5% (docs/planning.md)",
        ]
    if plan.pages is not None:
        pages = plan.pages
        lines += [
            "",
            f"a page of {pages.width} x {pages.height} pixels: {pages.image_tokens:,} tokens, "
            f"{pages.request_tokens:,} with question and answer; "
            f"{pages.fit} of {pages.wanted} streams run at once, the others wait",
        ]
        if pages.docvqa_fit is not None:
            lines.append(
                f"DocVQA's median request (4,996 tokens in, 19 out): {pages.docvqa_fit} of "
                f"{pages.wanted} streams run at once"
            )
    for other in plan.alternatives:
        lines += ["", *_alternative_lines(other)]
    if plan.remedies:
        lines += ["", "it would fit with:"]
        lines += [
            f"  {remedy.words}" + (f"   ({setting})" if (setting := setting_of(remedy)) else "")
            for remedy in plan.remedies
        ]
    return lines


def memory_bar(chosen: Capacity) -> list[str]:
    """One GPU's memory: weights, KV cache, overhead, and what the engine leaves alone."""
    total = chosen.gpu.memory_bytes
    parts = [
        ("#", "weights", min(chosen.weights_bytes, total)),
        ("=", "KV cache", max(0, chosen.kv_bytes)),
        ("+", f"overhead ({chosen.overhead.basis})", chosen.overhead.high),
        (".", "not used", total - chosen.budget_bytes),
    ]
    bar = ""
    filled = 0
    for sign, _, size in parts:
        filled += size
        bar += sign * max(0, min(_BAR, round(_BAR * filled / total)) - len(bar))
    legend = ", ".join(f"{sign} {name} {size / GIB:.1f} GiB" for sign, name, size in parts)
    return [f"[{bar:<{_BAR}}] {total / GIB:.1f} GiB per GPU", f" {legend}"]


def _verdict(chosen: Capacity) -> str:
    if chosen.refused is not None:
        return f"the engine would not start: {chosen.refused}"
    if chosen.fits:
        return f"fits, {chosen.headroom_bytes / GIB:.1f} GiB per GPU to spare"
    missing = f"{-chosen.headroom_bytes / GIB:.1f} GiB per GPU are missing"
    if chosen.may_fit:
        return f"may fit, if its overhead is small; in the worst case {missing}"
    return f"does not fit: {missing}"


def _rows(chosen: Capacity) -> list[tuple[str, ...]]:
    spec, over = chosen.spec, chosen.overhead
    length = chosen.serving.max_model_len
    kinds = " and ".join(kind.value for kind in spec.kinds)
    high = f"{over.high / GIB:.2f} GiB per GPU"
    size = high if over.low == over.high else f"{over.low / GIB:.2f} to {high}"
    tokens = f"{chosen.kv_cache_tokens:,}"
    if chosen.kv_cache_tokens_at_best != chosen.kv_cache_tokens:
        tokens += (
            f" to {chosen.kv_cache_tokens_at_best:,}, most likely "
            f"{chosen.kv_cache_tokens_expected:,},"
        )
    return [
        (
            "weights",
            f"{spec.weights_bytes / GIB:.2f} GiB ({spec.weights_bytes / 1e9:.2f} GB), "
            f"{spec.parameters:,} parameters, from {_basis(spec.weights_basis)}",
        ),
        ("KV cache", f"{chosen.kv_bytes_per_token:,} bytes a token, {kinds}"),
        (
            "",
            f"{tokens} tokens, {chosen.kv_blocks:,} blocks, "
            f"{max(0, chosen.kv_bytes) / GIB:.2f} GiB per GPU",
        ),
        ("overhead", f"{size}, {over.basis}: {over.source}"),
        ("concurrency", f"{chosen.concurrency(length):.2f} requests of {length:,} tokens"),
        (
            "ITL floor",
            f"{chosen.itl_floor_s * 1000:.1f} ms, weights over published bandwidth; "
            f"{chosen.itl_floor_decoder_s * 1000:.1f} ms for what a decode step reads: measured "
            "below this is a mistake",
        ),
    ]


def _basis(basis: str) -> str:
    return "the safetensors files" if basis == "safetensors" else "config.json"


def _size_row(row: Capacity) -> tuple[str, ...]:
    word = "yes" if row.fits else "perhaps" if row.may_fit else "no"
    if row.refused is not None:
        word = f"no: {row.refused}"
    elif not row.fits:
        word += f", {-row.headroom_bytes / GIB:.1f} GiB per GPU missing"
    return (
        str(row.tensor_parallel),
        f"{row.weights_bytes / GIB:.1f} GiB",
        f"{row.kv_cache_tokens:,}",
        f"{row.concurrency(row.serving.max_model_len):.2f}",
        f"{row.itl_floor_s * 1000:.1f} ms",
        word,
    )


def _alternative_lines(other: Alternative) -> list[str]:
    low, high = other.usd_per_hour
    best = other.capacity.kv_cache_tokens_at_best
    left = "nothing" if best == 0 else f"{other.capacity.kv_cache_tokens:,} to {best:,} tokens"
    return [
        f"{other.name} ({low:g} to {high:g} $/h), what the published comparison leaves out:",
        f"  {other.nominal_left_bytes / 1e9:.1f} GB nominal, {other.real_left_bytes / 1e9:.1f} GB "
        f"real are left for everything but weights; for the KV cache: {left}",
        f"  {other.why}",
    ]
