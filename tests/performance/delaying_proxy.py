"""A TCP proxy that delays what passes, both ways: a link of any round trip on one machine.

    python delaying_proxy.py ADDRESS PORT SECONDS

Connects to ADDRESS:PORT for whoever connects to it, prints the port that it listens on, and ends
when its standard input does.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time


async def main(address: str, port: int, seconds: float) -> None:
    """Serve until standard input ends.

    + address, port: where connections go
    + seconds: delay of every byte, each way, so half of the round trip
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(address, port)
        await asyncio.gather(delayed(reader, back, seconds), delayed(there, writer, seconds))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def delayed(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float
) -> None:
    """Hand on what arrives, each piece ``seconds`` later, in order and without a limit on how much
    is on its way: a delay, not a narrower link."""
    waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def write() -> None:
        while True:
            due, data = await waiting.get()
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if not data:
                break
            writer.write(data)
            await writer.drain()

    writing = asyncio.create_task(write())
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            waiting.put_nowait((time.monotonic() + seconds, data))
    waiting.put_nowait((time.monotonic() + seconds, b""))
    with contextlib.suppress(OSError):
        await writing
        writer.close()
        await writer.wait_closed()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
