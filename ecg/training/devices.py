"""Where a network is trained: on the processor, or on a graphics card."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ecg.exceptions import InputError


def device_named(name: str, parameter: str) -> torch.device:
    """The device cpu or cuda; InputError that names the parameter if PyTorch cannot compute there.

    Parameters
    ----------
    parameter : file and name of the parameter that chooses the device
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError(
            f"{parameter} is cuda, and PyTorch {torch.__version__} finds no GPU: that takes an NVIDIA GPU with its "
            "driver, and PyTorch's build for CUDA; cpu works everywhere"
        )
    return torch.device(name)


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one thread: how many share a sum changes its last bit, and these sums are too small to share."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def seeded(device: torch.device, seed: int) -> Iterator[None]:
    """Draw torch's random numbers from this seed, and leave the generators as they were; a GPU has one of its own."""
    with torch.random.fork_rng(devices=[] if device.type == "cpu" else [device]):
        torch.manual_seed(seed)
        yield
