"""Keep secrets out of all output."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

MASK = "***"

# Shorter values would mask ordinary words, and no real token is that short.
_SHORTEST = 8


class Redaction:
    """Masks secret values in text.

    + secrets: the values; short ones are not masked
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        usable = {secret for secret in secrets if len(secret) >= _SHORTEST}
        self._secrets = sorted(usable, key=len, reverse=True)

    def text(self, text: str) -> str:
        """``text`` with every secret masked."""
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text

    def lines(self, lines: Iterable[str]) -> tuple[str, ...]:
        """Lines with every secret masked."""
        return tuple(self.text(line) for line in lines)


def environment_secrets(environ: Mapping[str, str], names: Iterable[str]) -> list[str]:
    """Values of the variables that hold tokens, for masking only.

    + names: variables named in the settings, such as ``huggingface.token_env``
    """
    wanted = {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", *names}
    return [environ[name].strip() for name in sorted(wanted) if environ.get(name)]
