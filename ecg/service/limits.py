"""What the service accepts, and how long it waits.

Apart from the rest of the service, which the command line imports only to serve.
"""

from dataclasses import dataclass

# Of the head of a request: its first line and its headers. Browsers and proxies stay far below.
HEAD_BYTES = 64 * 2**10
HEADERS = 100
URL_BYTES = 8 * 2**10
PIPELINED = 50  # requests on a connection that wait for the answer to the first one

CHUNK_OVERHEAD = 16  # bytes that may be sent for each byte of a body

# Seconds that a connection may take.
HEAD_SECONDS = 10.0  # for the head of a request, from its first byte or from the beginning of the connection
BODY_SECONDS = 10.0  # that a body of a request may stay behind BODY_RATE
BODY_RATE = 16 * 2**10  # bytes a second
KEEP_ALIVE_SECONDS = 5  # between an answer and the next request
LINGER_SECONDS = 10.0  # between an answer and the end of a body that was refused
WRITE_SECONDS = 30.0  # for the client to read an answer

# After SIGTERM or SIGINT, in this order; together below 10 seconds.
LEAVING_SECONDS = 1.0  # not ready any more, but still accepting: load balancers turn away meanwhile
LAST_BODY_SECONDS = 5.0  # for bodies that are on their way
STOPPING_SECONDS = 7  # for the answers

SMALL_BODY = 64 * 2**10  # bytes up to which a body is parsed at once, and counts as none that needs room
BODIES_ON_THEIR_WAY = 8  # of the largest size, for which there is room in memory at a time
ROOM_SECONDS = 10.0  # that a body waits for room
SPARE_FILES = 64  # file descriptors that are kept for other things than connections


@dataclass(frozen=True)
class Limits:
    """Most beats in a request, most bytes in its body, and most connections at a time, of each worker."""

    beats: int = 5_000
    body: int = 16 * 2**20
    connections: int = 1_000
