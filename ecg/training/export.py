"""From a trained ensemble to the ONNX file that ships: the same computation, without torch.

torch.fx records the operations of `Ensemble.forward`; each is then written as an ONNX operator. torch's own exporter
takes longer than the training (3 s) and writes paths and stack traces of the machine into the file; this table of the
few operations in use gives the same bytes everywhere. An architecture that brings a new operation adds its line here.
"""

import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save
from torch import fx, nn

from ecg.exceptions import InputError
from ecg.models import layers
from ecg.training.ensemble import Ensemble

OPSET = 20
IR_VERSION = 10  # the oldest that holds this opset, so that older runtimes can read the file
INPUT = "beats"
OUTPUTS = ("reconstruction", "step_error", "score", "member_score")
TOLERANCE = 1e-4  # relative to the largest value: float32 sums of 140 terms in another order differ by about 1e-6


class _Graph:
    """ONNX nodes and constants, as they come up."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}

    def constant(self, value: Any, dtype: type = np.float32) -> str:
        """The name of a constant; equal ones share it."""
        array: np.ndarray = np.asarray(value, dtype=dtype, order="C")
        for name, known in self.constants.items():
            if known.dtype == array.dtype and known.shape == array.shape and (known == array).all():
                return name
        self.constants[f"constant_{len(self.constants)}"] = array
        return f"constant_{len(self.constants) - 1}"

    def integers(self, *values: int) -> str:
        """The name of a constant that lists whole numbers, as ONNX wants dimensions, bounds and shapes."""
        return self.constant(values, np.int64)

    def add(self, name: str, operation: str, *inputs: str, **attributes: Any) -> str:
        """A node with one output, which bears the node's name."""
        self.nodes.append(helper.make_node(operation, inputs, [name], name=name, **attributes))
        return name


def _binary(operation: str) -> Callable[..., str]:
    def write(graph: _Graph, name: str, *operands: str | float) -> str:
        return graph.add(name, operation, *(x if isinstance(x, str) else graph.constant(x) for x in operands))

    return write


def _unary(operation: str) -> Callable[..., str]:
    return lambda graph, name, x: graph.add(name, operation, x)


def _chunk(graph: _Graph, name: str, x: str, count: int, dim: int) -> list[str]:
    parts = [f"{name}_{i}" for i in range(count)]
    graph.nodes.append(helper.make_node("Split", [x], parts, name=name, axis=dim, num_outputs=count))
    return parts


def _narrow(graph: _Graph, name: str, x: str, dim: int, start: int, length: int) -> str:
    return graph.add(name, "Slice", x, graph.integers(start), graph.integers(start + length), graph.integers(dim))


def _pad(
    graph: _Graph,
    name: str,
    x: str,
    amounts: tuple[int, int],
    mode: str = "constant",
    value: float | None = None,
    dim: int = -1,
) -> str:
    return graph.add(
        name, "Pad", x, graph.integers(*amounts), graph.constant(value or 0.0), graph.integers(dim), mode=mode
    )


def _stack(graph: _Graph, name: str, parts: list[str], dim: int) -> str:
    thick = [graph.add(f"{name}_{i}", "Unsqueeze", part, graph.integers(dim)) for i, part in enumerate(parts)]
    return graph.add(name, "Concat", *thick, axis=dim)


def _windows(graph: _Graph, name: str, x: str, kernel: int, stride: int, length: int) -> str:
    padded = _pad(graph, f"{name}_padded", x, (kernel // 2, kernel // 2), dim=2)
    seen = np.arange(0, length, stride)[:, None] + np.arange(kernel)  # (L', kernel)
    gathered = graph.add(f"{name}_gathered", "Gather", padded, graph.constant(seen, np.int64), axis=2)
    return graph.add(name, "Transpose", gathered, perm=[0, 1, 2, 4, 3])


def _stretch(graph: _Graph, name: str, x: str, length: int) -> str:
    return graph.add(name, "Gather", x, graph.constant(np.arange(length) // 2, np.int64), axis=2)


# torch operation -> how to write it: (graph, the new node's name, the operation's arguments) -> the result's name, or
# the names of its parts
_OPERATIONS: dict[Any, Callable[..., str | list[str]]] = {
    operator.add: _binary("Add"),
    operator.sub: _binary("Sub"),
    operator.mul: _binary("Mul"),
    operator.truediv: _binary("Div"),
    operator.matmul: _binary("MatMul"),
    operator.getitem: lambda _graph, _name, parts, index: parts[index],
    torch.exp: _unary("Exp"),
    torch.relu: _unary("Relu"),
    torch.sigmoid: _unary("Sigmoid"),
    torch.stack: _stack,
    torch.tanh: _unary("Tanh"),
    nn.functional.pad: _pad,
    layers.stretch: _stretch,
    layers.windows: _windows,
    "chunk": _chunk,
    "expand": lambda graph, name, x, *shape: graph.add(name, "Expand", x, graph.integers(*map(abs, shape))),
    "mean": lambda graph, name, x, dim: graph.add(name, "ReduceMean", x, graph.integers(dim), keepdims=0),
    "narrow": _narrow,
    "reshape": lambda graph, name, x, *shape: graph.add(name, "Reshape", x, graph.integers(*shape)),
    "select": lambda graph, name, x, dim, i: graph.add(name, "Gather", x, graph.constant(i, np.int64), axis=dim),
    "square": lambda graph, name, x: graph.add(name, "Mul", x, x),
    "squeeze": lambda graph, name, x, dim: graph.add(name, "Squeeze", x, graph.integers(dim)),
    "sum": lambda graph, name, x, dim, keepdim=False: graph.add(
        name, "ReduceSum", x, graph.integers(dim), keepdims=int(keepdim)
    ),
    "transpose": lambda graph, name, x, *_: graph.add(name, "Transpose", x),  # of a matrix: the axes in reverse
    "unsqueeze": lambda graph, name, x, dim: graph.add(name, "Unsqueeze", x, graph.integers(dim)),
}


def to_onnx(ensemble: Ensemble, samples: np.ndarray, facts: Mapping[str, str] = MappingProxyType({})) -> bytes:
    """The ensemble as an ONNX model, checked to give what torch gives on `samples`.

    Input `beats` float32 (beats, L), raw; outputs `reconstruction` (beats, L) in raw units, `step_error` (beats, L),
    `score` (beats,) and `member_score` (beats, K). The number of beats is free.

    Parameters
    ----------
    samples : float32 ndarray of shape (n_beats, L), beats to check the model on
    facts : what to say of the model in the file's metadata

    Raises
    ------
    InputError
        if the ensemble uses an operation that has no translation, or if ONNX Runtime's results differ from torch's.
    """
    model = _translate(ensemble.eval(), samples.shape[1])
    helper.set_model_props(model, dict(sorted(facts.items())))
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString(deterministic=True)
    _check(content, ensemble, samples)
    return content


def weights(ensemble: Ensemble) -> bytes:
    """The ensemble's parameters and its scaling as safetensors."""
    return save(ensemble.state_dict())


def _translate(ensemble: Ensemble, length: int) -> onnx.ModelProto:
    graph = _Graph()
    state = ensemble.state_dict(keep_vars=True)
    names: dict[fx.Node, Any] = {}
    outputs: tuple[fx.Node, ...] = ()

    for node in fx.symbolic_trace(ensemble).graph.nodes:
        if node.op == "placeholder":
            names[node] = INPUT
        elif node.op == "get_attr":
            names[node] = node.target
            graph.constants[node.target] = state[node.target].detach().numpy()
        elif node.op == "output":
            outputs = node.args[0]
        elif node.target in _OPERATIONS:
            names[node] = _OPERATIONS[node.target](graph, node.name, *fx.map_arg(node.args, names.get), **node.kwargs)
        else:
            raise InputError(f"the model uses {node.target}, which ecg/training/export.py cannot write as ONNX yet")
    for node, name in zip(outputs, OUTPUTS, strict=True):
        graph.add(name, "Identity", names[node])

    def described(name: str, *shape: str | int) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["beats", *shape])

    with torch.no_grad():
        shapes = [output.shape for output in ensemble(torch.zeros(1, length))]
    results = [described(name, *shape[1:]) for name, shape in zip(OUTPUTS, shapes, strict=True)]
    constants = [numpy_helper.from_array(array, name) for name, array in graph.constants.items()]
    return helper.make_model(
        helper.make_graph(graph.nodes, "ecg-anomaly-detector", [described(INPUT, length)], results, constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="ecg",
    )


def _check(content: bytes, ensemble: Ensemble, samples: np.ndarray) -> None:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    with torch.no_grad():
        expected = ensemble(torch.from_numpy(samples))
    for name, theirs, ours in zip(OUTPUTS, session.run(OUTPUTS, {INPUT: samples}), expected, strict=True):
        off, largest = np.abs(theirs - ours.numpy()).max(), np.abs(ours.numpy()).max()
        if not off <= TOLERANCE * largest:
            raise InputError(
                f"the exported model's {name} is off torch's by {off:.2g}; the largest value is {largest:.2g}"
            )
