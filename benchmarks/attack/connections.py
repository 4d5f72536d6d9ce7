"""Raw HTTP/1.1 over sockets: what no HTTP client would send."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
CLOSED = (ConnectionError, asyncio.IncompleteReadError, EOFError)
COUNTS = 10  # of open sockets
COUNT_PERIOD = 0.03  # seconds


def megabytes(process: int, name: str) -> float:
    """An amount of memory in /proc/PROCESS/status, in MB; 0 if the process has ended."""
    with suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{process}/status").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) / 1024
    return 0.0


@dataclass(frozen=True)
class Target:
    """A running service.

    port : on this machine
    process : its number
    key : the API key
    log : the file with what it prints
    """

    port: int
    process: int
    key: str
    log: Path

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] = {}, key: bool = True
    ) -> bytes:
        """A well-formed request, by default with the key; of JSON if its headers do not say otherwise."""
        fields = {"host": "localhost", **({"authorization": f"Bearer {self.key}"} if key else {})}
        if body is not None:
            fields |= {"content-type": "application/json", "content-length": str(len(body))}
        fields |= headers
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
        return "\r\n".join(lines).encode() + (body or b"")

    def memory(self) -> float:
        """The memory of the process in MB."""
        return megabytes(self.process, "VmRSS")

    def peak(self) -> float:
        """The largest memory of the process in MB since `reset_peak`."""
        return megabytes(self.process, "VmHWM")

    def reset_peak(self) -> None:
        """Begin to measure the largest memory anew."""
        Path(f"/proc/{self.process}/clear_refs").write_text("5", encoding="ascii")

    async def open_connections(self) -> int:
        """How many sockets the process has open: the lowest of some counts, as a probe comes and goes."""
        lowest = self._sockets()
        for _ in range(COUNTS - 1):
            await asyncio.sleep(COUNT_PERIOD)
            lowest = min(lowest, self._sockets())
        return lowest

    def _sockets(self) -> int:
        count = 0
        for descriptor in Path(f"/proc/{self.process}/fd").iterdir():
            with suppress(FileNotFoundError):
                count += str(descriptor.readlink()).startswith("socket:")
        return count


@asynccontextmanager
async def connected(port: int, receive_buffer: int | None = None) -> AsyncIterator[Streams]:
    """A connection to a port of this machine; with a small receive buffer, in bytes, for a reader that is slow."""
    connection = socket.socket()
    if receive_buffer is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
        reader, writer = await asyncio.open_connection(sock=connection, limit=receive_buffer or 2**20)
    except BaseException:
        connection.close()
        raise
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def read_answer(reader: asyncio.StreamReader, *, body: bool = True) -> tuple[int, dict[str, str], bytes]:
    """The status, headers and body of the next answer; one of CLOSED if the connection is closed before its end.

    body : whether the answer has one; that to HEAD has none
    """
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    content = await reader.readexactly(int(headers.get("content-length", 0))) if body else b""
    return int(head[0].split()[1]), headers, content


async def send(writer: asyncio.StreamWriter, parts: Iterable[bytes]) -> None:
    """Send parts one after the other, no faster than they are taken, until the connection is closed."""
    with suppress(*CLOSED):
        for part in parts:
            writer.write(part)
            await writer.drain()


async def status_of(port: int, parts: Iterable[bytes], seconds: float) -> int | None:
    """The status of the answer to a request that is sent in parts; 0 if the connection is closed without one.

    None if neither happens within some seconds. What remains of the request is not sent after the answer.
    """
    try:
        async with asyncio.timeout(seconds), connected(port) as (reader, writer):
            sending = asyncio.create_task(send(writer, parts))
            try:
                return (await read_answer(reader))[0]
            finally:
                sending.cancel()
    except TimeoutError:
        return None
    except CLOSED:
        return 0
