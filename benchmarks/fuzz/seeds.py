"""Small real files, one or more for each format, that fuzzing starts from."""

import io
import struct
import tempfile
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ecg.detector.calibration import Calibration
from ecg.detector.detector import Detector
from ecg.detector.model import Model

LENGTH = 4  # samples in a beat of the tiny model
RATE = 200  # Hz, of recordings


@cache
def leads() -> np.ndarray:
    """Two leads of a second and a half, float of shape (300, 2), in millivolts."""
    seconds = np.arange(300) / RATE
    beat = np.exp(-(((seconds % 0.75 - 0.3) / 0.02) ** 2)) - 0.2 * np.exp(-(((seconds % 0.75 - 0.35) / 0.03) ** 2))
    return np.column_stack([beat, 0.1 * np.sin(7 * seconds) - beat / 2]).round(3)


def written(write: Callable[[Path], object], name: str) -> bytes:
    """The content of the file that `write` writes at the path that it is given, which ends in `name`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        write(path)
        return path.read_bytes()


@cache
def onnx_model(metadata: tuple[tuple[str, str], ...] = ()) -> bytes:
    """A model whose reconstruction is half the beat: a graph as those that ship, but without weights."""
    from onnx import TensorProto, helper

    def value(name: str, *shape: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *shape])

    nodes = [
        helper.make_node("Mul", ["beats", "half"], ["reconstruction"]),
        helper.make_node("Sub", ["beats", "reconstruction"], ["difference"]),
        helper.make_node("Mul", ["difference", "difference"], ["step_error"]),
        helper.make_node("ReduceMean", ["step_error"], ["member_score"], axes=[1], keepdims=1),
        helper.make_node("ReduceMean", ["step_error"], ["score"], axes=[1], keepdims=0),
    ]
    outputs = [value("reconstruction", LENGTH), value("step_error", LENGTH), value("score"), value("member_score", 1)]
    half = helper.make_tensor("half", TensorProto.FLOAT, [], [0.5])
    graph = helper.make_graph(nodes, "tiny", [value("beats", LENGTH)], outputs, [half])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, dict(metadata))
    content: bytes = model.SerializeToString()
    return content


@cache
def detector() -> Detector:
    """The tiny model, calibrated."""
    model = Model(onnx_model())
    errors = np.linspace(0.01, 1, 40).round(3).tolist()
    calibration = Calibration(
        method="conformal",
        model_sha256=model.sha256,
        alpha=0.1,
        fdr=0.1,
        threshold=0.9,
        held_out=[errors],
        p_values=None,
        tail=None,
    )
    return Detector(model, calibration)


def arrays(**named: np.ndarray) -> bytes:
    """An .npz of these arrays."""
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **named)
    return content.getvalue()


def npy(array: np.ndarray) -> bytes:
    """A .npy of this array."""
    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    return content.getvalue()


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of these files."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, inside in files.items():
            archive.writestr(name, inside)
    return content.getvalue()


def table(header: str, delimiter: str = ",", time: str = "", rows: int = 120, decimal: str = ".") -> bytes:
    """A table of the leads in text; `time` says how a first column of times is written."""
    write: dict[str, Callable[[int], list[str]]] = {
        "": lambda _: [],
        "seconds": lambda i: [f"{i / RATE:.3f}"],
        "clock": lambda i: [f"12:00:{i / RATE:06.3f}"],
        "moment": lambda i: [f"2024-05-01T12:00:{i / RATE:06.3f}Z"],
        "milliseconds": lambda i: [str(1_714_600_000_000 + 5 * i)],
        "number": lambda i: [str(i)],
    }
    lines = [
        delimiter.join([*write[time](i), *(f"{sample:g}".replace(".", decimal) for sample in row)])
        for i, row in enumerate(leads()[:rows].tolist())
    ]
    return "\n".join([*([header] if header else []), *lines, ""]).encode()


def wfdb_files(name: str = "case", fmt: str = "16", rows: int = 300) -> dict[str, bytes]:
    """A WFDB record, with annotations: the content of each of its files, by name."""
    import wfdb

    with tempfile.TemporaryDirectory() as folder:
        wfdb.wrsamp(name, RATE, ["mV"] * 2, ["MLII", "V5"], leads()[:rows], fmt=[fmt] * 2, write_dir=folder)
        wfdb.wrann(name, "atr", np.array([60, 210]), ["N", "V"], write_dir=folder, aux_note=["", "(VT"])
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def edf(kind: str) -> bytes:
    """An EDF+ or BDF+ file, with annotations."""
    import edfio

    signal, file = {"edf": (edfio.EdfSignal, edfio.Edf), "bdf": (edfio.BdfSignal, edfio.Bdf)}[kind]
    signals = [
        signal(samples, RATE, label=label, physical_dimension="mV", physical_range=(-2, 2))
        for samples, label in zip(leads().T, ("ECG II", "V5"), strict=True)
    ]
    notes = [edfio.EdfAnnotation(0.3, None, "N"), edfio.EdfAnnotation(1.05, None, "V")]
    return written(file(signals, annotations=notes, data_record_duration=0.75).write, f"seed.{kind}")


def ishne() -> bytes:
    """An ISHNE Holter file of two leads."""
    block = bytearray(512)
    struct.pack_into("<iiiih", block, 0, 0, len(leads()), 522, 522, 1)
    struct.pack_into("<h12h12h12h", block, 146, 2, 6, 15, *[-9] * 22, 2500, 2500, *[-9] * 10)
    struct.pack_into("<h", block, 262, RATE)
    return b"ISHNE1.0\0\0" + bytes(block) + np.rint(leads() * 400).astype("<i2").tobytes()
