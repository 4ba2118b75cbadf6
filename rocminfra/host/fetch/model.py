"""Downloads a model of the hub into the cache, whole, and marks it complete.

    python3 -m rocminfra.host.fetch.model REPOSITORY --home DIR --program HF --marker FILE
        [--revision REV] [--endpoint URL] [--look]

With ``--look`` it only asks the hub, and whether there is room. The token is in the environment, as
``HF_TOKEN``. Standard library only, in Python 3.8's syntax.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time

from rocminfra.host.fetch.supervised import (
    GivenUpError,
    Patience,
    Status,
    claimed_bytes,
    download,
    free_bytes,
    main,
    sized,
)
from rocminfra.hub.repository import Hub, HubError, Listing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# Left free: what writes logs and caches beside a model must go on.
RESERVE_BYTES = 1_000_000_000


class Cache:
    """A repository in the hub client's cache (its guide "Understand caching")."""

    def __init__(self, home: str, repository: str) -> None:
        self.folder = os.path.join(home, "hub", f"models--{repository.replace('/', '--')}")

    def snapshot(self, commit: str) -> str:
        """Folder of the files of a commit."""
        return os.path.join(self.folder, "snapshots", commit)

    def arrived(self) -> int:
        """Bytes of everything that was downloaded, finished or not."""
        total = 0
        try:
            entries = list(os.scandir(os.path.join(self.folder, "blobs")))
        except OSError:
            return 0
        for entry in entries:
            try:
                found = entry.stat()
            except OSError:  # renamed at this moment
                continue
            # Of a file that is written in several places at once, only what is on the disk.
            total += min(found.st_size, found.st_blocks * 512)
        return total

    def missing(self, listing: Listing) -> list[str]:
        """Files of a commit that are not there with their sizes."""
        folder = self.snapshot(listing.commit)
        return [
            file.path
            for file in listing.files
            if not _is_there(os.path.join(folder, file.path), file.size)
        ]

    def needed_bytes(self, listing: Listing) -> int:
        """What is still to be downloaded, as far as sizes are known."""
        missing = set(self.missing(listing))
        blobs = os.path.join(self.folder, "blobs")
        left = 0
        try:
            halves = [name for name in os.listdir(blobs) if name.endswith(".incomplete")]
        except OSError:
            halves = []
        for file in listing.files:
            if file.path not in missing or file.size is None:
                continue
            if file.sha256 and _is_there(os.path.join(blobs, file.sha256), file.size):
                continue
            left += file.size
            for half in halves:
                if file.sha256 and half.startswith(file.sha256):
                    found = os.stat(os.path.join(blobs, half))
                    left -= min(file.size, found.st_size, found.st_blocks * 512)
        return max(0, left)


def fetch(
    arguments: argparse.Namespace, status: Status, hub: Hub, patience: Patience | None = None
) -> None:
    """Download what is missing and mark the model complete; raises :class:`GivenUpError`."""
    cache = Cache(arguments.home, arguments.repository)
    listing = _listing(arguments, hub)
    total, needed = listing.total_bytes, cache.needed_bytes(listing)
    free = free_bytes(arguments.home) - claimed_bytes()
    if needed and needed + RESERVE_BYTES > free:
        raise GivenUpError(
            "space",
            f"{arguments.repository} needs {sized(needed)} more, and {sized(max(0, free))} are "
            f"free in {arguments.home}, of which {sized(RESERVE_BYTES)} stay free; nothing was "
            "downloaded",
        )
    if arguments.look:
        return
    # What other revisions have left in the cache does not count.
    before = cache.arrived() - ((total or 0) - needed)
    status.say(total=total, done=max(0, cache.arrived() - before))
    words = [arguments.program, "download", arguments.repository]
    words += ["--revision", arguments.revision] if arguments.revision else []
    environment = {**os.environ, "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    download(
        words,
        environment,
        lambda: max(0, cache.arrived() - before),
        status,
        patience,
        # Parts of files that the hub's other protocol has not put together yet.
        lambda: _bytes_below(os.environ.get("HF_XET_CACHE") or os.path.join(arguments.home, "xet")),
    )
    missing = cache.missing(listing)
    if missing:
        # Somebody may have pushed to the branch meanwhile.
        listing = _listing(arguments, hub)
        missing = cache.missing(listing)
    if missing:
        raise GivenUpError(
            "odd",
            f"{arguments.repository} is not whole after its download: {', '.join(missing[:3])} "
            f"{'is' if len(missing) == 1 else 'are'} missing, or not as large as the hub says",
        )
    _mark(arguments.marker, cache.snapshot(listing.commit), listing)


def _listing(arguments: argparse.Namespace, hub: Hub) -> Listing:
    try:
        listing = hub.listing(arguments.repository, arguments.revision)
        # Of a gated model the hub tells the names of the files to everybody.
        small = [file for file in listing.files if file.path == "config.json"]
        if small:
            hub.file(arguments.repository, listing.commit, small[0].path)
    except HubError as error:
        raise GivenUpError(error.kind, str(error)) from None
    if not listing.files:
        raise GivenUpError("absent", f"{arguments.repository} holds no files")
    return listing


def _bytes_below(folder: str) -> int:
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(root, name)).st_size
            except OSError:  # gone at this moment
                continue
    return total


def _is_there(path: str, size: int | None) -> bool:
    try:
        return os.path.isfile(path) and size in (None, os.stat(path).st_size)
    except OSError:
        return False


def _mark(path: str, folder: str, listing: Listing) -> None:
    """Say that the model is complete, with everything that has to be there for that."""
    files = {file.path: os.stat(os.path.join(folder, file.path)).st_size for file in listing.files}
    document = {"repository": listing.repository, "folder": folder, "files": files}
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1, sort_keys=True)
        file.flush()
        # A marker outlives a power cut only together with what it marks.
        os.sync()
    os.replace(f"{path}.new", path)


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The arguments."""
    parser = argparse.ArgumentParser()
    parser.add_argument("repository")
    for name in ("--home", "--program", "--marker"):
        parser.add_argument(name, required=True)
    for name in ("--revision", "--endpoint"):
        parser.add_argument(name)
    parser.add_argument("--look", action="store_true")
    return parser.parse_args(list(words))


if __name__ == "__main__":
    given = parse(sys.argv[1:])
    os.environ["HF_HOME"] = given.home
    if given.endpoint:
        os.environ["HF_ENDPOINT"] = given.endpoint
    the_hub = Hub(given.endpoint, os.environ.get("HF_TOKEN"), time.sleep)
    sys.exit(main(lambda status: fetch(given, status, the_hub)))
