"""Images that are made on a droplet of the engine's own, and cannot serve."""

from __future__ import annotations

import shlex

# An image's archive, as one for another machine.
_FOR_ARM = """
import io, json, sys, tarfile
source = tarfile.open(fileobj=io.BytesIO(sys.stdin.buffer.read()))
target = tarfile.open(fileobj=sys.stdout.buffer, mode="w|")
(manifest,) = json.load(source.extractfile("manifest.json"))
for member in source:
    data = source.extractfile(member).read() if member.isfile() else b""
    if member.name == manifest["Config"]:
        data = json.dumps({**json.loads(data), "architecture": "arm64"}).encode()
        member.size = len(data)
    target.addfile(member, io.BytesIO(data))
target.close()
"""
FOR_ARM = f"python3 -c {shlex.quote(_FOR_ARM)}"


def made_from_the_engines(script: str, change: str) -> str:
    """A command that makes another image of the engine's own."""
    inside = shlex.quote(f"d=/usr/lib/python3/dist-packages; {script}")
    image = "$(docker inspect -f '{{.Config.Image}}' vllm-qwen2-vl-72b)"
    return (
        f"docker run --name making --entrypoint sh {image} -c {inside} && "
        f"docker commit --change {shlex.quote(change)} making other:v1 && docker rm making"
    )
