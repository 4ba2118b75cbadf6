"""What is said of a GuideLLM that failed."""

from __future__ import annotations

from pathlib import Path

from rocminfra.host.bench.attempt import last_words


def test_the_end_of_a_traceback_is_what_is_said(tmp_path: Path) -> None:
    frames = "".join(f'  File "loader.py", line {line}, in load\n    load()\n' for line in range(9))
    trace = "Traceback (most recent call last):\n" + frames
    between = "\nDuring handling of the above exception, another exception occurred:\n\n"
    text = (
        f"starting\n{trace}ValueError: no matching columns\n{between}{trace}RuntimeError: stopped\n"
    )
    (tmp_path / "stderr.log").write_text(text)
    said = last_words(tmp_path)
    assert said == "starting | ValueError: no matching columns | RuntimeError: stopped"
    (tmp_path / "stderr.log").write_text("  only a frame\n")
    assert last_words(tmp_path) == "only a frame"
