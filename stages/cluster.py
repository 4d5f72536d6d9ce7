"""Joblib's tasks on a Dask cluster, if the environment variable ECG_SCHEDULER is the address of its scheduler.

Its workers are started in the root of a clone with the same commit and the same data, each with one thread:
`python -m dask worker ADDRESS --nworkers -1 --nthreads 1`.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import joblib

from ecg.exceptions import InputError, needed_for

SCHEDULER = "ECG_SCHEDULER"


@contextmanager
def joined() -> Iterator[None]:
    """Within the block, joblib's tasks run on the cluster that ECG_SCHEDULER names; without it, as joblib does.

    Raises
    ------
    InputError
        if no scheduler answers, or if it has no workers or one with several threads: torch has one generator of random
        numbers for all threads of a process, so that trainings side by side would draw from each other's.
    """
    address = os.environ.get(SCHEDULER)
    if not address:
        yield
        return
    with needed_for(f"{SCHEDULER}={address}", "archive"):
        from ecg.cluster import connected
    with connected(address) as client:
        threads = set(client.nthreads().values())
        if threads != {1}:
            found = f"a worker has {max(threads)} threads" if threads else "there are no workers"
            raise InputError(
                f"{SCHEDULER} is {address}: {found}; start them by `python -m dask worker {address} --nthreads 1`"
            )
        with joblib.parallel_config("dask"):
            yield
