"""Variables of the engine that settings of their own give, or that lead it elsewhere.

The weights are on the host before the engine starts, where ``huggingface.home`` says. An engine
that looks for them elsewhere takes the place of one that serves, and then does not find them.
"""

from __future__ import annotations

from collections.abc import Mapping

# huggingface_hub (constants.py) and transformers 4 (utils/hub.py).
_OWNED: Mapping[str, str] = {
    "HF_HOME": "huggingface.home",
    "HF_HUB_CACHE": "huggingface.home",
    "HUGGINGFACE_HUB_CACHE": "huggingface.home",
    "TRANSFORMERS_CACHE": "huggingface.home",
    "HF_ENDPOINT": "huggingface.endpoint",
}
# vLLM takes models from another hub when this is true (vllm/envs.py).
_OTHER_HUB = "VLLM_USE_MODELSCOPE"
# The first port of vLLM's own connections, and not the one that it serves at (its page
# "Environment Variables").
OWN_PORT = "VLLM_PORT"


def check(environment: Mapping[str, str]) -> None:
    """Raise ValueError for a variable that a setting gives, or that leads to another hub."""
    for name, setting in _OWNED.items():
        if name in environment:
            raise ValueError(f"{name} is given by {setting}: set that instead")
    if environment.get(_OTHER_HUB, "").strip().lower() in ("true", "1"):
        raise ValueError(
            f"{_OTHER_HUB} makes the engine look for its model on another hub than the one that it "
            "was downloaded from: leave it out"
        )


def own_port_problem(environment: Mapping[str, str], port: int) -> str | None:
    """Why vLLM cannot have its own connections where it is told to, or None.

    + port: that it serves at
    """
    given = environment.get(OWN_PORT)
    if given is None:
        return None
    text = given.strip()
    if not (text.isdecimal() and text.isascii() and 0 < int(text[:6]) < 65536):
        return f"{OWN_PORT} must be a port, and is {given!r}"
    if int(text) == port:
        return (
            f"{OWN_PORT} ({text}) is the first port of the engine's own connections, and must not "
            f"be vllm.port, at which it serves"
        )
    return None
