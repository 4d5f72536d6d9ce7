"""The largest request that the service accepts: apart from the rest, which the command line imports only to serve."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Most beats in a request, and most bytes in its body."""

    beats: int = 5_000
    body: int = 16 * 2**20
