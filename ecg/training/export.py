"""From a trained ensemble to the files that ship: its computation as ONNX, its parameters as safetensors.

PyTorch's exporter writes the ONNX file, so an architecture may use any operation that it supports. Its metadata contain
paths and stack traces of the machine; these are removed, so that the same ensemble gives the same bytes everywhere.
"""

import logging
import warnings
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import onnx
import onnxruntime
import torch
from safetensors.torch import save

from ecg.exceptions import InputError
from ecg.training.ensemble import Ensemble

OPSET = 20
INPUT = "beats"
OUTPUTS = ("reconstruction", "step_error", "score", "member_score")
CHECKED = 1024  # beats
TOLERANCE = 1e-4  # relative to the largest value: float32 sums of 140 terms in another order differ by about 1e-6


def to_onnx(ensemble: Ensemble, samples: np.ndarray, metadata: Mapping[str, str] = MappingProxyType({})) -> bytes:
    """The ensemble as an ONNX model, checked to give what PyTorch gives on `samples`.

    Input `beats` float32 (beats, L), raw; outputs `reconstruction` (beats, L) in raw units, `step_error` (beats, L),
    `score` (beats,) and `member_score` (beats, K). The number of beats is not fixed.

    Parameters
    ----------
    samples : float32 ndarray of shape (n_beats, L), n_beats at least 2; the first CHECKED are to check the model on
    metadata : what the file says of the model

    Raises
    ------
    InputError
        if PyTorch cannot export the ensemble, or if ONNX Runtime's results differ from PyTorch's.
    """
    model = _exported(ensemble.eval(), torch.from_numpy(samples[:2]))
    onnx.helper.set_model_props(model, dict(sorted(metadata.items())))
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString(deterministic=True)
    _check(content, ensemble, samples[:CHECKED])
    return content


def weights(ensemble: Ensemble) -> bytes:
    """The ensemble's parameters and its scaling as safetensors."""
    return save(ensemble.state_dict())


def _exported(ensemble: Ensemble, example: torch.Tensor) -> onnx.ModelProto:
    for library in ("torch.onnx", "onnxscript"):  # torchvision is not installed; a Split is not computed in advance
        logging.getLogger(library).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(action="ignore"):  # of PyTorch's own use of what it has deprecated
            program = torch.onnx.export(
                ensemble,
                (example,),
                input_names=[INPUT],
                output_names=OUTPUTS,
                dynamic_shapes=({0: torch.export.Dim("beats")},),
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        reason = str(error.__cause__ or error).strip().partition("\n")[0]
        raise InputError(f"PyTorch cannot export the model to ONNX: {reason}") from None
    assert program is not None  # it would be None if it had gone to a file
    return _without_origin(program.model_proto)


def _without_origin(model: onnx.ModelProto) -> onnx.ModelProto:
    """Remove the metadata that depend on the machine and on the build of PyTorch."""
    graph = model.graph
    for part in (*graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer, graph, model):
        part.doc_string = ""
        del part.metadata_props[:]
    model.producer_version = model.producer_version.partition("+")[0]
    return model


def _check(content: bytes, ensemble: Ensemble, samples: np.ndarray) -> None:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    with torch.no_grad():
        expected = ensemble(torch.from_numpy(samples))
    for name, actual, tensor in zip(OUTPUTS, session.run(OUTPUTS, {INPUT: samples}), expected, strict=True):
        difference, largest = np.abs(actual - tensor.numpy()).max(), np.abs(tensor.numpy()).max()
        if not difference <= TOLERANCE * largest:
            raise InputError(
                f"the exported model's {name} differs from PyTorch's by {difference:.2g}; the largest value is "
                f"{largest:.2g}"
            )
