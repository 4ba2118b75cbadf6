"""Draws docs/planning.svg: DocVQA with 64 streams, as it is predicted today.

.venv/bin/python docs/planning_svg.py
"""

from __future__ import annotations

from pathlib import Path

from rocminfra.planning.bench.points import Stage
from rocminfra.planning.engine.model_shape import QWEN2_VL_72B, VisionShape
from rocminfra.planning.model.config import read_model
from rocminfra.planning.model.reference import REFERENCE_CONFIG, REFERENCE_NAME
from rocminfra.planning.prediction.predict import Timing, Variant, predict
from rocminfra.planning.prediction.workload import ScannedPages
from rocminfra.runner.output.predict_svg import Panel, prediction_svg

PICTURE = Path(__file__).with_name("planning.svg")


def picture() -> str:
    """The picture as SVG."""
    variant = Variant(read_model(REFERENCE_CONFIG, REFERENCE_NAME))
    pages = ScannedPages(QWEN2_VL_72B.vision or VisionShape(1, 1, 1))
    (point,) = predict(variant, [Stage("concurrent", streams=(64,))], pages, Timing(120, 10))
    panel = Panel("docvqa: concurrent@64 on mi300x, max-num-seqs 64", point.traces[0])
    return prediction_svg(f"{REFERENCE_NAME}, predicted", [panel])


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
