"""Statements about behaviour.

Linear algebra has one thread in each of the processes that tests start: with several, those side by side wait for each
other, ten times as long. That results do not depend on it, `make verify VERIFY=--everywhere` shows.

Garbage is not looked for until all is imported, nor later among that: it takes a third of the time of the imports, and
longer than most of DVC's commands.
"""

import gc
import os

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # before NumPy is first imported
gc.disable()


def collect_garbage() -> None:
    """From now on, but not what is there: of a worker once it has all tests, of a process once it is forked."""
    gc.freeze()
    gc.enable()
