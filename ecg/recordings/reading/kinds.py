"""What a file is, by its content; its ending decides where the content does not tell."""

from pathlib import Path
from typing import Literal

from ecg.exceptions import InputError

FORMATS = (
    "a WFDB record (.hea), EDF (.edf), BDF (.bdf), an ISHNE Holter file (.ecg), a table (.csv, .tsv, .txt), "
    "NumPy (.npy) or a zip of one of them"
)
Kind = Literal["wfdb", "edf", "bdf", "ishne", "npy", "table", "zip"]

_HEAD = 4096  # bytes that are looked at
_MAGIC: tuple[tuple[bytes, Kind], ...] = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"ISHNE1.0", "ishne"),
    (b"0       ", "edf"),
    (b"\xffBIOSEMI", "bdf"),
    (b"\x93NUMPY", "npy"),
)
_ENDINGS: dict[str, Kind] = {
    ".hea": "wfdb",
    ".edf": "edf",
    ".rec": "edf",
    ".bdf": "bdf",
    ".npy": "npy",
    ".csv": "table",
    ".tsv": "table",
    ".txt": "table",
    ".zip": "zip",
}
_KNOWN = (*_ENDINGS, ".dat")  # endings of a path that needs no hint that it may be a record

# What other files are, by how they begin or end, and what to do with them.
_AS_TABLE = "export the signal as CSV"
_OTHERS: tuple[tuple[bytes, str, str], ...] = (
    (b"\x89HDF", "an HDF5 or MATLAB 7.3 file", _AS_TABLE),
    (b"MATLAB 5.0", "a MATLAB file", "export the signal as CSV (writematrix), or save it by scipy and numpy as .npy"),
    (b"PAR1", "a Parquet file", "write the table as CSV (pandas: to_csv)"),
    (b"%PDF", "a PDF document", "a picture of an ECG has no samples: export the recording as CSV or EDF"),
    (b"\x89PNG", "a picture", "a picture of an ECG has no samples: export the recording as CSV or EDF"),
    (b"\xff\xd8\xff", "a picture", "a picture of an ECG has no samples: export the recording as CSV or EDF"),
    (b"GIF8", "a picture", "a picture of an ECG has no samples: export the recording as CSV or EDF"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook", "save the sheet as CSV"),
    (b"\x1f\x8b", "a gzip file", "unpack it first (gunzip)"),
    (b"BZh", "a bzip2 file", "unpack it first (bunzip2)"),
    (b"\xfd7zXZ", "an xz file", "unpack it first (unxz)"),
    (b"7z\xbc\xaf", "a 7-Zip archive", "unpack it first"),
    (b"Rar!", "a RAR archive", "unpack it first"),
    (b"SQLite format 3", "an SQLite database", _AS_TABLE),
)
_OTHER_ENDINGS = {
    ".mat": ("a MATLAB file", "export the signal as CSV (writematrix), or save it by scipy and numpy as .npy"),
    ".h5": ("an HDF5 file", _AS_TABLE),
    ".hdf5": ("an HDF5 file", _AS_TABLE),
    ".parquet": ("a Parquet file", "write the table as CSV (pandas: to_csv)"),
    ".dcm": ("a DICOM file", "export the waveform as CSV or EDF"),
    ".scp": ("an SCP-ECG file", "export it as CSV or EDF from the program that recorded it"),
    ".xls": ("an Excel workbook", "save the sheet as CSV"),
    ".xlsx": ("an Excel workbook", "save the sheet as CSV"),
    ".pkl": ("a pickle, which is not safe to open", "save the samples as .npy or CSV"),
    ".json": ("a JSON file", _AS_TABLE),
    ".xml": ("an XML file", "export the signal as CSV or EDF"),
}


def kind_of(path: Path) -> Kind:
    """What a file is; InputError if there is none, or if it is none that can be read, with what to do."""
    if path.name and path.with_name(f"{path.name}.hea").is_file():
        return "wfdb"
    ending = path.suffix.lower()
    if path.is_dir():
        raise InputError(f"{path} is not a recording in a known format; it should be {FORMATS}")
    if not path.is_file():
        header = "" if ending in _KNOWN else f", nor {path.name}.hea"
        raise InputError(f"there is no file {path}{header}; a recording is {FORMATS}")
    if ending == ".hea":
        return "wfdb"
    with path.open("rb") as file:
        head = file.read(_HEAD)
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if other := _other(head, ending):
        raise InputError(f"{path} is {other[0]}: {other[1]}")
    if ending == ".dat":  # a header with another name, or a table
        return "table" if is_text(head) and not path.with_suffix(".hea").is_file() else "wfdb"
    if ending in _ENDINGS:
        return _ENDINGS[ending]
    if head and is_text(head):
        return "table"
    raise InputError(f"{path} is not a recording in a known format; it should be {FORMATS}")


def _other(head: bytes, ending: str) -> tuple[str, str] | None:
    """What a file is that cannot be read, and what to do; None if it may be one that can."""
    for magic, what, remedy in _OTHERS:
        if head.startswith(magic):
            return what, remedy
    if head[128:132] == b"DICM":
        return _OTHER_ENDINGS[".dcm"]
    if b"SCPECG" in head[:32]:
        return _OTHER_ENDINGS[".scp"]
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith((b"<?xml", b"<!DOCTYPE", b"<HealthData", b"<AnnotatedECG")):
        if b"HealthData" in head:
            return (
                "Apple's export.xml, which has no samples",
                "export the electrocardiogram as CSV (electrocardiograms/)",
            )
        if b"AnnotatedECG" in head or b"hl7-org" in head:
            return "an HL7 aECG file", "export the signal as CSV or EDF"
        return _OTHER_ENDINGS[".xml"]
    if start.startswith(b'{"') or (start.startswith(b"{") and ending == ".json"):
        return _OTHER_ENDINGS[".json"]
    return _OTHER_ENDINGS.get(ending)


def is_text(head: bytes) -> bool:
    r"""Whether bytes are of a text: hardly any control characters, but for the NULs of UTF-16.

    Examples
    --------
    >>> is_text(b"1,2\n3,4\n"), is_text(bytes(range(32)))
    (True, False)
    """
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or head[0:200:2].count(0) == 0 < head[1:200:2].count(0):
        return True
    controls = sum(byte < 32 and byte not in b"\t\n\r\f" for byte in head)
    return controls <= len(head) // 100
