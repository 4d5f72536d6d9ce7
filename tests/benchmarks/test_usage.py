"""Time and peak memory of commands."""

import sys

import pytest

from benchmarks.usage import measure


def test_peak_memory_is_the_command_s_own_also_where_this_process_is_larger() -> None:
    ballast = b"x" * 300_000_000
    small, large = (measure(sys.executable, "-c", f"x = b'x' * {size}") for size in (1, 200_000_000))
    assert small.peak < 100
    assert 200 < large.peak < len(ballast) / 1e6


def test_the_output_is_the_command_s_own() -> None:
    assert measure(sys.executable, "-c", "print('{\\n [1]\\n}')").output == "{\n [1]\n}\n"


def test_a_command_that_fails_ends_the_benchmark_with_its_message() -> None:
    with pytest.raises(SystemExit, match=r"-c raise SystemExit\('no beats'\) failed:\nno beats\n"):
        measure(sys.executable, "-c", "raise SystemExit('no beats')")
