"""The two archives by their names: downloaded once, where the web is there."""

from collections.abc import Callable
from pathlib import Path

import pooch

from ecg.exceptions import InputError

FOLDER = Path("benchmarks/.sets")
ADDRESSES = {
    "UCR Anomaly Archive": "https://www.cs.ucr.edu/~eamonn/time_series_data_2018/UCR_TimeSeriesAnomalyDatasets2021.zip",
    "TSB-AD-U": "https://www.thedatum.org/datasets/TSB-AD-U.zip",
}
TIMEOUT = (5.0, 60.0)  # seconds, to connect and to wait for data


def folder_of(archive: str, is_series: Callable[[Path], bool]) -> Path:
    """The folder with the series of an archive, which is downloaded if it is not there yet.

    Parameters
    ----------
    archive : one of ADDRESSES
    is_series : whether a file is one of the archive's series

    Raises
    ------
    InputError
        if the download fails, or if it holds no series.
    """
    folder = FOLDER / archive
    try:
        pooch.retrieve(
            ADDRESSES[archive],
            known_hash=None,  # the authors publish none
            fname="archive.zip",
            path=folder,
            downloader=pooch.HTTPDownloader(timeout=TIMEOUT),
            processor=pooch.Unzip(extract_dir="files"),
        )
    except Exception as error:  # of the network, of a server, of a damaged archive
        (folder / "archive.zip").unlink(missing_ok=True)
        raise InputError(
            f"{archive} cannot be had from {ADDRESSES[archive]} ({error}); name a folder with its files instead"
        ) from None
    found = next((path for path in sorted(folder.rglob("*")) if is_series(path)), None)
    if found is None:
        raise InputError(f"{folder} holds no series of {archive}; name a folder with its files instead")
    return found.parent
