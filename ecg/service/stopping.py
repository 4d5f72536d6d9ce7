"""How the service stops: first it is not ready any more, then it accepts nothing more, and at last it answers the rest.

uvicorn stops accepting as soon as the signal comes, before a load balancer knows, and waits for a body for ever.
"""

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any, TypeVar

from ecg.service.limits import LAST_BODY_SECONDS, LEAVING_SECONDS

T = TypeVar("T")


class Stopping:
    """Whether the service stops, and until when a body may be on its way.

    Attributes
    ----------
    begun : whether the signal has come
    """

    def __init__(self) -> None:
        self.begun = False
        self._latest = float("inf")
        self._waits: set[asyncio.Timeout] = set()

    async def wait(self, message: Callable[[], Awaitable[T]], until: float) -> T:
        """A part of a body, if it comes until a moment of the loop's clock; TimeoutError otherwise."""
        async with asyncio.timeout_at(min(until, self._latest)) as timeout:
            self._waits.add(timeout)
            try:
                return await message()
            finally:
                self._waits.discard(timeout)

    def begin(self) -> None:
        """Stop: what is waited for comes soon, or not at all."""
        self.begun = True
        self._latest = asyncio.get_running_loop().time() + LEAVING_SECONDS + LAST_BODY_SECONDS
        for timeout in self._waits:
            if not timeout.expired():
                timeout.reschedule(min(timeout.when() or self._latest, self._latest))

    @asynccontextmanager
    async def lifespan(self, _app: Any) -> AsyncIterator[None]:
        """Handle the signals that stop a server, and pass them on to it when load balancers have had time to notice."""
        if threading.current_thread() is not threading.main_thread():  # as in tests
            yield
            return
        loop = asyncio.get_running_loop()
        handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

        def stop(number: int, frame: FrameType | None) -> None:
            handler = handlers[signal.Signals(number)]
            if self.begun and callable(handler):  # impatience
                handler(number, frame)
            elif callable(handler):
                loop.call_soon_threadsafe(self.begin)
                self.begun = True
                loop.call_soon_threadsafe(loop.call_later, LEAVING_SECONDS, handler, number, frame)

        for number in handlers:
            signal.signal(number, stop)
        yield
