"""What an ONNX file may contain, checked before ONNX Runtime sees its bytes: plain tensor arithmetic, all in the file.

ONNX Runtime computes whatever a file describes: it reads tensors from other files, and allocates what a shape asks for.
So a file from outside is read here first, strictly: a part that a model of beats does not need is refused.

Own code: the onnx package would do to read the file, but it has 60 MB, and only training needs it. The reader follows
the tables below, which have no cycle, so it cannot recurse deeper than they do.

References
----------
Protocol buffers, "Encoding": https://protobuf.dev/programming-guides/encoding/. The numbers of the fields:
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

import math
import struct
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ecg.exceptions import InputError

LARGEST_FILE = 64 * 2**20  # bytes; the largest that ships has 3 MB
LARGEST_CONSTANTS = 64 * 2**20  # bytes, in all
LARGEST_RESIZE = 20  # bits; how many times larger a constant may make a tensor
MOST_FIELDS = 2**21  # an LSTM that is unrolled over a beat of 1,000 samples has a million
FEW = 64  # elements of a constant that may be part of a shape

# Standard operators that compute tensors from tensors alone: none has subgraphs, sequences, text or random numbers.
_OPERATORS = """
    Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast
    CastLike Ceil Clip Compress Concat Constant ConstantOfShape Cos Cosh CumProd CumSum Div Einsum Equal Erf Exp Expand
    EyeLike Flatten Floor Gather GatherElements GatherND Greater GreaterOrEqual Identity IsInf IsNaN Less LessOrEqual
    Log MatMul Max Mean Min Mod Mul Neg NonZero Not OneHot Or Pad Pow Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum
    ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Reshape Resize ReverseSequence
    Round ScatterElements ScatterND Shape Sign Sin Sinh Size Slice Split Sqrt Squeeze Sub Sum Tan Tile TopK Transpose
    Trilu Unsqueeze Where Xor
    Attention AveragePool BatchNormalization Celu Conv ConvInteger ConvTranspose DepthToSpace DequantizeLinear
    DynamicQuantizeLinear Elu GRU Gelu Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool GroupNormalization HardSigmoid
    HardSwish Hardmax InstanceNormalization LRN LSTM LayerNormalization LeakyRelu LogSoftmax LpNormalization LpPool
    MatMulInteger MaxPool MeanVarianceNormalization Mish PRelu QLinearConv QLinearMatMul QuantizeLinear RMSNormalization
    RNN Relu RotaryEmbedding Selu Shrink Sigmoid Softmax Softplus Softsign SpaceToDepth Swish Tanh ThresholdedRelu
"""
OPERATORS = frozenset(_OPERATORS.split())
_RESIZING = {"ConstantOfShape": (0,), "Expand": (1,), "OneHot": (1,), "Pad": (1,), "Range": (0, 1, 2)}
_RESIZING |= {"Resize": (2, 3), "Tile": (1,)}  # the inputs that say how large the output is
_BROADCASTING = {"Add", "Div", "Equal", "Max", "Min", "Mul", "Sub", "Where"}  # with which shapes are computed
_KEEPING = {"Abs", "Cast", "Floor", "Identity", "Neg", "Slice"}

# The element types, as TensorProto.DataType numbers them: all but text, complex numbers and those below 8 bits.
_TYPES = {1: "<f4", 2: "u1", 3: "i1", 4: "<u2", 5: "<i2", 6: "<i4", 7: "<i8", 9: "u1", 10: "<f2", 11: "<f8"}
_TYPES |= {12: "<u4", 13: "<u8", 16: "<u2"}

# Each message's fields by number: the name, what it holds, and whether it repeats. What is not here is refused.
_METADATA = ("metadata", "Entry", True)
_DOC = ("doc_string", "text", False)
_MESSAGES: dict[str, dict[int, tuple[str, str, bool]]] = {
    "Model": {
        1: ("ir_version", "int", False),
        2: ("producer_name", "text", False),
        3: ("producer_version", "text", False),
        4: ("domain", "text", False),
        5: ("model_version", "int", False),
        6: _DOC,
        7: ("graph", "Graph", False),
        8: ("opset", "Opset", True),
        14: _METADATA,
    },
    "Graph": {
        1: ("node", "Node", True),
        2: ("name", "text", False),
        5: ("initializer", "Tensor", True),
        10: _DOC,
        11: ("input", "Value", True),
        12: ("output", "Value", True),
        13: ("value_info", "Value", True),
        16: _METADATA,
    },
    "Node": {
        1: ("input", "text", True),
        2: ("output", "text", True),
        3: ("name", "text", False),
        4: ("op_type", "text", False),
        5: ("attribute", "Attribute", True),
        6: _DOC,
        7: ("domain", "text", False),
        9: _METADATA,
    },
    "Attribute": {
        1: ("name", "text", False),
        2: ("f", "float", False),
        3: ("i", "int", False),
        4: ("s", "text", False),
        5: ("t", "Tensor", False),
        7: ("floats", "floats", True),
        8: ("ints", "ints", True),
        9: ("strings", "text", True),
        13: _DOC,
        20: ("type", "int", False),
    },
    "Tensor": {
        1: ("dims", "ints", True),
        2: ("data_type", "int", False),
        4: ("float_data", "floats", True),
        5: ("int32_data", "ints", True),
        7: ("int64_data", "ints", True),
        8: ("name", "text", False),
        9: ("raw_data", "bytes", False),
        10: ("double_data", "doubles", True),
        11: ("uint64_data", "ints", True),
        12: _DOC,
        16: _METADATA,
    },
    "Value": {1: ("name", "text", False), 2: ("type", "Type", False), 3: _DOC, 4: _METADATA},
    "Type": {1: ("tensor", "TensorType", False), 6: ("denotation", "text", False)},
    "TensorType": {1: ("element", "int", False), 2: ("shape", "Shape", False)},
    "Shape": {1: ("dim", "Dimension", True)},
    "Dimension": {1: ("size", "int", False), 2: ("symbol", "text", False), 3: ("denotation", "text", False)},
    "Opset": {1: ("domain", "text", False), 2: ("version", "int", False)},
    "Entry": {1: ("key", "text", False), 2: ("value", "text", False)},
}
_REFUSED = {  # what else the format has, by message and number
    ("Model", 20): "training information",
    ("Model", 25): "functions",
    ("Graph", 15): "sparse tensors",
    ("Attribute", 6): "a subgraph",
    ("Attribute", 11): "subgraphs",
    ("Attribute", 21): "a function's attribute",
    ("Attribute", 22): "a sparse tensor",
    ("Attribute", 23): "sparse tensors",
    ("Tensor", 6): "text as a constant",
    ("Tensor", 13): "external data: a constant that is read from another file",
    ("Tensor", 14): "external data: a constant that is read from another file",
    ("Type", 4): "sequences",
    ("Type", 5): "maps",
    ("Type", 8): "sparse tensors",
    ("Type", 9): "optional values",
}
_WIRE = {
    "int": 0,
    "ints": 0,
    "float": 5,
    "floats": 5,
    "doubles": 1,
}  # how a value is written; all others: with a length
_PACKED = ("ints", "floats", "doubles")  # also as one run of bytes


def check_graph(content: bytes) -> None:
    """Check that an ONNX file is tensor arithmetic that stays within the file.

    Raises
    ------
    InputError
        if the file is damaged or larger than LARGEST_FILE, or holds external data, functions, subgraphs, operators that
        are not in OPERATORS, constants of more than LARGEST_CONSTANTS, or operators that make tensors as large as a
        constant says, if that is large. The message is a reason alone; the caller names the file.
    """
    if len(content) > LARGEST_FILE:
        raise InputError(f"it has {len(content):,} bytes; {LARGEST_FILE:,} are accepted")
    try:
        model = _Reader(content).message("Model", 0, len(content))
    except (IndexError, ValueError, struct.error):
        raise InputError("it is no ONNX file, or a damaged one") from None
    if "graph" not in model:
        raise InputError("it is no ONNX file, or a damaged one")
    _check_nodes(model["graph"])


class _Reader:
    """Reads messages as dictionaries: name -> value, or list of values if the field repeats."""

    def __init__(self, content: bytes) -> None:
        self.content, self.fields = content, 0

    def message(self, kind: str, start: int, stop: int) -> dict[str, Any]:
        read: dict[str, Any] = {}
        for number, wire, value in self._fields(start, stop):
            if number not in _MESSAGES[kind]:
                raise InputError(f"it holds {_REFUSED.get((kind, number), f'an unknown part ({kind}, {number})')}")
            name, holds, repeats = _MESSAGES[kind][number]
            if wire != _WIRE.get(holds, 2) and not (wire == 2 and holds in _PACKED):
                raise InputError("it is no ONNX file, or a damaged one")
            if not repeats and name in read:
                raise InputError(f"it holds two values of {name}")
            if not repeats:
                read[name] = self._value(holds, wire, value)
            elif holds in _PACKED and wire == 2:
                read.setdefault(name, []).extend(self._packed(holds, *value))
            else:
                read.setdefault(name, []).append(self._value(holds, wire, value))
        return read

    def _fields(self, position: int, stop: int) -> Iterator[tuple[int, int, Any]]:
        """The number, wire type and value of each field; a value with a length is its start and end."""
        while position < stop:
            self.fields += 1
            if self.fields > MOST_FIELDS:
                raise InputError(f"it has more than {MOST_FIELDS:,} parts")
            key, position = self._varint(position)
            wire, value = key & 7, position
            if wire == 0:
                value, position = self._varint(position)
            elif wire in (1, 5):
                position += 8 if wire == 1 else 4
            elif wire == 2:
                length, value = self._varint(position)
                position = value + length
            else:
                raise IndexError
            if position > stop:
                raise IndexError
            yield key >> 3, wire, (value, position) if wire == 2 else value

    def _varint(self, position: int) -> tuple[int, int]:
        value = 0
        for i in range(10):
            byte = self.content[position + i]
            value |= (byte & 127) << 7 * i
            if byte < 128:
                return value & (2**64 - 1), position + i + 1
        raise IndexError

    def _value(self, holds: str, wire: int, value: Any) -> Any:
        if wire == 0:
            return value - 2**64 if value >= 2**63 else value
        if wire in (1, 5):
            return struct.unpack_from("<d" if wire == 1 else "<f", self.content, value)[0]
        if holds == "text":
            return self.content[slice(*value)].decode()
        return self.content[slice(*value)] if holds == "bytes" else self.message(holds, *value)

    def _packed(self, holds: str, start: int, stop: int) -> Iterator[Any]:
        if holds != "ints":
            yield from np.frombuffer(self.content[start:stop], "<f8" if holds == "doubles" else "<f4").tolist()
            return
        while start < stop:
            value, start = self._varint(start)
            yield self._value("int", 0, value)


class _Bound(NamedTuple):
    """How large the elements of a value are at most, as far as it may be part of a shape.

    bits : the product of the elements, taken as at least 1 each, is at most 2 ** bits
    elements : how many there are, in one row
    """

    bits: float
    elements: float


_UNBOUNDED = _Bound(math.inf, math.inf)
_ABSENT = _Bound(0, 0)


def _check_nodes(graph: dict[str, Any]) -> None:
    """Check operators and constants, and that no constant makes a tensor too large, directly or by arithmetic.

    The shape of a tensor counts as 0 bits: what is as large as the beats is no danger.
    """
    bounds = {value.get("name", ""): _UNBOUNDED for value in graph.get("input", [])} | {"": _ABSENT}
    size = 0
    for tensor in graph.get("initializer", []):
        size += _size(tensor)
        bounds[tensor.get("name", "")] = _bound_of_constant(tensor)
    for node in graph.get("node", []):
        operator = node.get("op_type", "")
        if node.get("domain", "") not in ("", "ai.onnx") or operator not in OPERATORS:
            raise InputError(f"it holds the operator {'.'.join(filter(None, [node.get('domain'), operator]))!r}")
        if unknown := [name for name in node.get("input", []) if name not in bounds]:
            raise InputError(f"its operator {operator} takes {unknown[0]!r}, which is not computed before")
        attributes = {attribute.get("name", ""): attribute for attribute in node.get("attribute", [])}
        size += sum(_size(attribute["t"]) for attribute in attributes.values() if "t" in attribute)
        if size > LARGEST_CONSTANTS:
            raise InputError(f"its constants have more than {LARGEST_CONSTANTS:,} bytes")
        inputs = [bounds[name] for name in node.get("input", [])]
        bits = sum(inputs[i].bits for i in _RESIZING.get(operator, ()) if i < len(inputs))
        if operator != "Constant":
            bits = max(bits, *(_bits(attribute.get("ints", [])) for attribute in attributes.values()), 0)
        if bits > LARGEST_RESIZE:
            raise InputError(f"its operator {operator} makes a tensor as large as a constant or the beats say")
        bounds |= dict.fromkeys(node.get("output", []), _bound_of_node(operator, inputs, attributes))


def _size(tensor: dict[str, Any]) -> int:
    """The bytes of a constant in memory."""
    dims, element = tensor.get("dims", []), tensor.get("data_type", 0)
    if element not in _TYPES or any(size < 0 for size in dims):
        raise InputError(f"it holds a constant of type {element} and of shape {dims[:8]}")
    return math.prod(dims) * np.dtype(_TYPES[element]).itemsize


def _bound_of_constant(tensor: dict[str, Any]) -> _Bound:
    dims, element = tensor.get("dims", []), tensor["data_type"]
    if len(dims) > 1 or math.prod(dims) > FEW or element not in (1, 6, 7, 9, 11):  # what shapes are computed from
        return _UNBOUNDED
    raw, itemsize = tensor.get("raw_data", b""), np.dtype(_TYPES[element]).itemsize
    values = np.frombuffer(raw[: min(len(raw) // itemsize, FEW) * itemsize], _TYPES[element]).tolist()
    data = ("float_data", "int32_data", "int64_data", "double_data")
    return _Bound(_bits([*values, *(number for name in data for number in tensor.get(name, []))]), math.prod(dims))


def _bits(numbers: Sequence[float]) -> float:
    if not all(map(math.isfinite, numbers)):
        return math.inf
    return sum(math.log2(max(1, abs(number))) for number in numbers)


def _bound_of_node(operator: str, inputs: Sequence[_Bound], attributes: dict[str, Any]) -> _Bound:
    if operator in ("Shape", "Size"):
        return _Bound(0, FEW if operator == "Shape" else 1)
    if operator == "Constant":
        (attribute,) = attributes.values() if len(attributes) == 1 else ({},)
        if "t" in attribute:
            return _bound_of_constant(attribute["t"])
        numbers = [attribute[name] for name in ("i", "f") if name in attribute]
        numbers += [*attribute.get("ints", []), *attribute.get("floats", [])]
        return _Bound(_bits(numbers), len(numbers)) if len(numbers) <= FEW else _UNBOUNDED
    if operator == "Concat":
        return _Bound(sum(bound.bits for bound in inputs), sum(bound.elements for bound in inputs))
    if operator == "Gather" and len(inputs) == 2:
        return _Bound(inputs[0].bits * max(inputs[1].elements, 1), inputs[1].elements)
    if operator in _BROADCASTING:
        count = max(bound.elements for bound in inputs)
        bits = sum(bound.bits * (count if bound.elements == 1 else 1) for bound in inputs)
        return _Bound(bits + count * (operator in ("Add", "Sub")), count)
    if operator in _KEEPING or (operator in ("Reshape", "Squeeze", "Unsqueeze") and inputs[0].elements == 1):
        return inputs[0]
    return _UNBOUNDED
