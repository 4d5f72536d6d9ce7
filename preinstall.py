"""What `make install` is about to bring, and whether there is room for it; run by the Python of .venv, before pip."""

import importlib.util
import os
import shutil
import subprocess
import sys

# Gigabytes, measured with the pinned versions: of all packages, those of tests and dashboard among them, with PyTorch's
# CPU build; and of CUDA's libraries, which come with pip's default PyTorch for Linux.
DOWNLOAD = 0.4
PACKAGES = 3
CUDA = 6
ANYWAY = "ECG_INSTALL_ANYWAY"
CPU_BUILD = (
    "PyTorch's CPU build is enough for this project: set PIP_EXTRA_INDEX_URL to PyTorch's index of CPU builds, whose "
    "address stands on PyTorch's installation page under Compute Platform: CPU, then run make again"
)


def main() -> None:
    """Say what is installed; exit with a remedy if the disk is too full for it."""
    if importlib.util.find_spec("torch") is not None:  # the large part is here
        print("Installing what is new in requirements.txt into .venv", flush=True)
        return
    cuda = sys.platform == "linux" and not cpu_index()
    needed = PACKAGES + CUDA if cuda else PACKAGES
    free = shutil.disk_usage(".").free / 1e9
    print(
        f"Installing about 150 packages into .venv, which takes minutes and says nothing meanwhile: {DOWNLOAD} GB to "
        f"download, {PACKAGES} GB on disk; {free:.0f} GB are free"
    )
    if cuda:
        print(f"pip's default PyTorch for Linux brings CUDA's libraries, too: {CUDA} GB more on disk. {CPU_BUILD}")
    sys.stdout.flush()
    if free < needed and ANYWAY not in os.environ:
        remedy = f"free some space; or, if pip is set up for the CPU build in another way: {ANYWAY}=1 make"
        sys.exit(f"error: not enough room for .venv here; {remedy}")


def cpu_index() -> bool:
    """Whether pip is set to look at an index of CPU builds, by its configuration or by the environment."""
    settings = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    return "/cpu" in settings.stdout


if __name__ == "__main__":
    main()
