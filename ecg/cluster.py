"""Dask clusters: joining one that runs, or starting workers on this machine.

Dask schedules, restarts workers that die, does again what they had, and spreads what they share. To be joined, a
cluster must have this package, in the same version; to see the same files, paths must be those of a folder that all
machines share, or addresses of a store. Whoever reaches a scheduler can run code on its workers: it belongs into a
private network, or behind Dask's TLS (distributed.comm.tls in Dask's configuration, which is used if it is there).
"""

import asyncio
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import dask
from distributed import Client, LocalCluster, rpc

from ecg.exceptions import InputError

CONNECT_SECONDS = 6  # until a scheduler that does not answer is given up
FAILURES = 10  # workers that may end with a task before it is given up, one after another
_LOUD = ("asyncio", "distributed", "tornado")


@contextmanager
def connected(scheduler: str) -> Iterator[Client]:
    """A client of a running cluster; InputError if none answers within CONNECT_SECONDS."""
    with _quiet():
        try:
            asyncio.run(_answer(scheduler))
        except (OSError, TimeoutError, ValueError, TypeError) as error:
            reason = str(error) or f"nothing in {CONNECT_SECONDS} s"
            raise InputError(
                f"no Dask scheduler answers at {scheduler} ({reason}): name the address that `dask scheduler` prints"
            ) from None
        with Client(scheduler) as client:
            yield client


async def _answer(scheduler: str) -> None:
    """Wait for an answer of a scheduler; `Client` has no limit on it once there is a connection."""
    async with asyncio.timeout(CONNECT_SECONDS), rpc(scheduler, timeout=CONNECT_SECONDS) as address:
        await address.identity()


@contextmanager
def started(workers: int) -> Iterator[Client]:
    """A client of workers that are processes of this machine, of one thread each, as long as the block lasts."""
    settings = {
        "distributed.scheduler.allowed-failures": FAILURES,
        "distributed.scheduler.worker-saturation": 1.0,  # no input waits at a worker
        "distributed.nanny.pre-spawn-environ.LOKY_MAX_CPU_COUNT": 1,
        # Dask's own value gives memory back to the system after each computation: the filters took twice as long.
        "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
    }
    with (
        _quiet(),
        dask.config.set(settings),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


@contextmanager
def _quiet() -> Iterator[None]:
    """Dask's own messages about connections, which are told in other words, are not printed."""
    names = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] in _LOUD]
    loggers = list(map(logging.getLogger, names))
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="distributed")
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
