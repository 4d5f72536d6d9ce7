"""Statements about behaviour.

Linear algebra has one thread in each of the processes that tests start: with several, those side by side wait for each
other, ten times as long. That results do not depend on it, `make verify VERIFY=--everywhere` shows.
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # before NumPy is first imported
