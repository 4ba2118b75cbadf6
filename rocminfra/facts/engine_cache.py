"""The KV cache that a running engine has, as it says itself."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from rocminfra.facts.host_fact import HostFact
from rocminfra.settings.addresses import in_url

_SERIES = "vllm:cache_config_info"


@dataclass(frozen=True)
class EngineCache:
    """KV cache of one engine.

    + blocks: ``num_gpu_blocks``
    + block_size: tokens a block
    """

    blocks: int
    block_size: int

    @property
    def tokens(self) -> int:
        """Tokens that its blocks have room for."""
        return self.blocks * self.block_size


class EngineCacheConfig(HostFact[EngineCache | None]):
    """``vllm:cache_config_info`` of the engine's ``/metrics``; None when no engine answers.

    Of several data-parallel engines the first one's: each has a cache of its own.
    """

    @staticmethod
    def default() -> EngineCache | None:
        """No engine answers."""
        return None

    def command(self, port: int, address: str = "127.0.0.1") -> str:
        """Shell command.

        + port, address: where the engine is asked, on the host itself
        """
        page = shlex.quote(f"http://{in_url(address)}:{int(port)}/metrics")
        program = (
            "import sys, urllib.request; "
            "page = urllib.request.urlopen(sys.argv[1], timeout=5); "
            f"[print(line.decode().strip()) for line in page if line.startswith(b'{_SERIES}')]"
        )
        return f'python3 -c "{program}" {page} 2>/dev/null || true'

    def process(self, output: list[str]) -> EngineCache | None:
        """Read the labels; None when they are not there."""
        for line in output:
            labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
            try:
                cache = EngineCache(int(labels["num_gpu_blocks"]), int(labels["block_size"]))
            except (KeyError, ValueError):
                continue
            # Before the cache is there some versions say 0.
            if cache.blocks > 0 and cache.block_size > 0:
                return cache
        return None
