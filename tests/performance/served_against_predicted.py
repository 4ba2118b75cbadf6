"""The served engine in real time against the same engine in virtual time.

    python tests/performance/served_against_predicted.py [--time-scale 50] [--requests 24]

Sends the same pages to the simulator's engine loop under the real clock, so many times as fast as
a GPU, and to the prediction, and says whether every token came in the same order and how late the
latest was. It checks the server around the model, not the model.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from rocminfra.lab.engine.clock import ScaledClock
from rocminfra.lab.engine.engine_loop import EngineLoop
from rocminfra.lab.engine.metrics import EngineMetrics
from rocminfra.planning.engine.core import EngineCore, run_all
from rocminfra.planning.engine.model_shape import QWEN2_VL_72B, VisionShape
from rocminfra.planning.engine.request import Request
from rocminfra.planning.prediction.workload import ScannedPages


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--time-scale", type=float, default=50.0)
    parser.add_argument("--requests", type=int, default=24)
    options = parser.parse_args(arguments)
    pages = ScannedPages(QWEN2_VL_72B.vision or VisionShape(1, 1, 1), output_spread=0.3)
    requests = [pages.request(number) for number in range(options.requests)]
    predicted = [
        (event.request_id, event.at)
        for event in run_all(EngineCore(), [(0.0, request) for request in requests])
        if event.kind == "finished"
    ]
    served = asyncio.run(serve(requests, options.time_scale))
    same = [name for name, _ in served] == [name for name, _ in predicted]
    late = max(
        (at - expected) / options.time_scale
        for (_, at), (_, expected) in zip(served, predicted, strict=True)
    )
    print(f"{len(served)} requests ended in the {'same' if same else 'WRONG'} order;", end=" ")
    print(f"the latest {late * 1000:.1f} ms of real time after its predicted end")
    return 0 if same else 1


async def serve(requests: list[Request], scale: float) -> list[tuple[str, float]]:
    """Ends of all requests on the modelled clock, in order."""
    clock = ScaledClock(scale)
    engine = EngineLoop(EngineCore(), clock, EngineMetrics("pages", 16_384, {}))
    ended: list[tuple[str, float]] = []
    done = asyncio.Event()

    def submit(request: Request) -> None:
        def sink(count: int, reason: str | None) -> None:
            if reason is not None:
                ended.append((request.id, clock.now()))
            if len(ended) == len(requests):
                done.set()

        engine.submit(request, "stop", sink)

    for request in requests:
        submit(request)
    started = time.monotonic()
    task = asyncio.create_task(engine.run())
    await done.wait()
    task.cancel()
    print(f"{time.monotonic() - started:.1f} s of real time, {scale:g} times as fast")
    return ended


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
