"""What an ONNX file may contain, and what is refused before ONNX Runtime sees it."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, numpy_helper

from ecg.detector import graph
from ecg.detector.detector import Detector
from ecg.detector.graph import OPERATORS, check_graph
from ecg.detector.model import OUTPUTS, Model
from ecg.exceptions import InputError
from ecg.hearts.model import SHIPPED as NORMAL_HEARTS
from ecg.hearts.model import HeartModel
from tests.conftest import ROOT

LENGTH = 16
INT64 = TensorProto.INT64


@pytest.fixture(scope="module")
def small() -> ModelProto:
    """A model that reconstructs any beat as 0: small enough to change any byte of."""
    nodes = [
        helper.make_node("Sub", ["beats", "beats"], ["reconstruction"]),
        helper.make_node("Mul", ["beats", "beats"], ["step_error"]),
        helper.make_node("ReduceMean", ["step_error", "axis"], ["score"], keepdims=0),
        helper.make_node("ReduceMean", ["step_error", "axis"], ["member_score"]),
    ]
    sizes: list[list[str | int]] = [["n", LENGTH], ["n", LENGTH], ["n"], ["n", 1]]
    outputs = [helper.make_tensor_value_info(*x) for x in zip(OUTPUTS, [1] * 4, sizes, strict=True)]
    beats = helper.make_tensor_value_info("beats", TensorProto.FLOAT, ["n", LENGTH])
    axis = helper.make_tensor("axis", INT64, [1], [1])
    made = helper.make_graph(nodes, "small", [beats], outputs, [axis])
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model


@pytest.fixture
def model(small: ModelProto) -> ModelProto:
    """A copy to change."""
    return onnx.load_model_from_string(small.SerializeToString())


def constant(values: object, name: str = "size") -> TensorProto:
    return numpy_helper.from_array(np.array(values), name)


def add(model: ModelProto, operator: str, *inputs: str | TensorProto, **attributes: object) -> str:
    """Put an operator before the others; inputs that are tensors become constants. Returns the name of its output."""
    names = [x if isinstance(x, str) else x.name for x in inputs]
    model.graph.initializer.extend(x for x in inputs if not isinstance(x, str))
    at = len(model.graph.node) - 4
    model.graph.node.insert(at, helper.make_node(operator, names, [f"added {at}"], **attributes))
    return f"added {at}"


def test_a_small_model_is_accepted(small: ModelProto) -> None:
    assert Model(small.SerializeToString()).length == LENGTH


def test_the_model_of_normal_hearts_is_accepted() -> None:
    assert HeartModel.load().model.reconstructed < HeartModel.load().model.length


def test_a_reconstruction_of_another_length_is_no_detector_of_beats(detector: Detector) -> None:
    hearts = HeartModel.load().model
    held_out = [[1.0]] * hearts.members
    calibration = detector.calibration.model_copy(update={"model_sha256": hearts.sha256, "held_out": held_out})
    with pytest.raises(InputError, match="reconstructs 90 samples of beats of 190"):
        Detector(hearts, calibration)


def test_only_operators_of_plain_arithmetic_are_accepted() -> None:
    known = {schema.name: schema for schema in onnx.defs.get_all_schemas() if schema.domain == ""}
    assert known.keys() >= OPERATORS
    for name in OPERATORS:
        schema = known[name]
        kinds = {attribute.type for attribute in schema.attributes.values()}
        assert not kinds & {onnx.defs.OpSchema.AttrType.GRAPH, onnx.defs.OpSchema.AttrType.GRAPHS}, name
        assert "seed" not in schema.attributes, name
        for port in (*schema.inputs, *schema.outputs):
            assert any(kind.startswith("tensor(") and kind != "tensor(string)" for kind in port.types), name


def external(model: ModelProto) -> None:
    axis = model.graph.initializer[0]
    axis.data_location = TensorProto.EXTERNAL
    axis.ClearField("int64_data")
    axis.external_data.add(key="location", value="weights.bin")


def subgraph(model: ModelProto) -> None:
    body = helper.make_graph([], "body", [], [])
    model.graph.node[0].attribute.append(helper.make_attribute("then_branch", body))


def function(model: ModelProto) -> None:
    model.functions.append(helper.make_function("mine", "f", [], [], [], [helper.make_opsetid("", 20)]))


def foreign(model: ModelProto) -> None:
    model.graph.node[0].domain = "com.microsoft"


def sequence(model: ModelProto) -> None:
    model.graph.value_info.append(helper.make_tensor_sequence_value_info("s", TensorProto.FLOAT, None))


def sparse(model: ModelProto) -> None:
    model.graph.sparse_initializer.add()


def text(model: ModelProto) -> None:
    model.graph.initializer.append(helper.make_tensor("words", TensorProto.STRING, [1], [b"word"]))


def random(model: ModelProto) -> None:
    add(model, "RandomNormalLike", "beats")


def unsorted_nodes(model: ModelProto) -> None:
    model.graph.node.insert(0, model.graph.node.pop(2))


def large(model: ModelProto) -> None:
    model.graph.initializer.append(TensorProto(name="large", data_type=1, dims=[2**20, 2**20]))


@pytest.mark.parametrize(
    ("change", "printed"),
    [
        (external, "external data: a constant that is read from another file"),
        (subgraph, "a subgraph"),
        (function, "functions"),
        (foreign, "the operator 'com.microsoft.Sub'"),
        (sequence, "sequences"),
        (sparse, "sparse tensors"),
        (text, "text as a constant"),
        (random, "the operator 'RandomNormalLike'"),
        (unsorted_nodes, "its operator ReduceMean takes 'step_error', which is not computed before"),
        (large, "its constants have more than 67,108,864 bytes"),
    ],
)
def test_what_a_model_of_beats_does_not_need_is_refused(
    model: ModelProto, change: Callable[[ModelProto], None], printed: str
) -> None:
    change(model)
    with pytest.raises(InputError, match=f"mine.onnx is refused: .*{printed}"):
        Model(model.SerializeToString(), "mine.onnx")


def test_external_data_is_refused_where_its_file_lies_in_the_working_folder(
    model: ModelProto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "weights.bin").write_bytes(np.array([1], np.int64).tobytes())
    monkeypatch.chdir(tmp_path)
    external(model)
    with pytest.raises(InputError, match="external data"):
        Model(model.SerializeToString())


HUGE = 2**32


@pytest.mark.parametrize(
    "enlarge",
    [
        lambda model: add(model, "ConstantOfShape", constant([HUGE])),
        lambda model: add(model, "ConstantOfShape", constant([2**11, 2**11])),
        lambda model: add(model, "Expand", "beats", constant([HUGE, 1, 1])),
        lambda model: add(model, "Tile", "beats", constant([1, HUGE])),
        lambda model: add(model, "Pad", "beats", constant([0, 0, 0, HUGE])),
        lambda model: add(model, "Range", constant(0, "a"), constant(HUGE, "b"), constant(1, "c")),
        lambda model: add(model, "Resize", "beats", "", constant(np.float32([1, 2**30]))),
        lambda model: add(model, "Expand", "beats", add(model, "Cast", "beats", to=INT64)),
        lambda model: add(model, "Tile", "beats", add(model, "Mul", constant([1, 2**15], "a"), constant(2**15, "b"))),
        lambda model: add(model, "ConstantOfShape", add(model, "Constant", value_ints=[HUGE])),
        lambda model: add(model, "AveragePool", "beats", kernel_shape=[1], pads=[HUGE, HUGE]),
    ],
)
def test_an_operator_makes_no_tensor_as_large_as_a_constant_says(
    model: ModelProto, enlarge: Callable[[ModelProto], str]
) -> None:
    enlarge(model)
    with pytest.raises(InputError, match=r"its operator \w+ makes a tensor as large as a constant or the beats say"):
        check_graph(model.SerializeToString())


def test_a_tensor_may_be_as_large_as_the_beats(model: ModelProto) -> None:
    shape = add(model, "Shape", "beats")
    one = add(model, "Gather", shape, constant([0], "index"))
    add(model, "Expand", constant(np.float32([0]), "zero"), add(model, "Concat", one, constant([64], "width"), axis=0))
    Model(model.SerializeToString())


def renamed(model: ModelProto) -> None:
    model.graph.input[0].name = "signals"
    for node in model.graph.node:
        node.input[:] = ["signals" if name == "beats" else name for name in node.input]


def second(model: ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, ["n", LENGTH]))


def doubles(model: ModelProto) -> None:
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = TensorProto.DOUBLE


def of_size(number: int, *sizes: int | str) -> Callable[[ModelProto], None]:
    """Change what the file says of the size of the input (0) or of an output (1 to 4)."""

    def change(model: ModelProto) -> None:
        values = [*model.graph.input, *model.graph.output]
        values[number].CopyFrom(helper.make_tensor_value_info(values[number].name, TensorProto.FLOAT, sizes))

    return change


def no_outputs(model: ModelProto) -> None:
    del model.graph.output[:]


@pytest.mark.parametrize(
    ("change", "printed"),
    [
        (renamed, "its inputs are signals; expected beats"),
        (second, "its inputs are beats, more; expected beats"),
        (doubles, r"its beats is tensor\(double\)"),
        (of_size(0, "n", "m"), "its beats is"),
        (of_size(0, 2, LENGTH), "its beats is|can read"),
        (of_size(0, "n", 0), "its beats is|can read"),
        (of_size(0, LENGTH), "its beats is|can read"),
        (of_size(1, "n"), "its reconstruction is|can read"),
        (of_size(1, "n", LENGTH + 1), "its reconstruction is|17 samples, but 16 step errors"),
        (of_size(4, "n", 3), "its member_score is"),
        (no_outputs, "its outputs are|can read"),
    ],
)
def test_other_inputs_and_outputs_are_refused(
    model: ModelProto, change: Callable[[ModelProto], None], printed: str
) -> None:
    change(model)
    with pytest.raises(InputError, match=f"(?s)mine.onnx.*({printed})"):
        Model(model.SerializeToString(), "mine.onnx")


def test_an_output_of_another_shape_than_the_file_says_is_refused(model: ModelProto) -> None:
    model.graph.node[3].CopyFrom(helper.make_node("Compress", ["step_error", "chosen"], ["member_score"], axis=1))
    model.graph.initializer.append(constant([True, True], "chosen"))
    with pytest.raises(InputError, match=r"member_score of 2 beats has the shape \(2, 2\)"):
        Model(model.SerializeToString())


def test_a_model_that_cannot_be_computed_is_refused(model: ModelProto) -> None:
    two = add(model, "Compress", "beats", constant([True, True], "chosen"), axis=1)
    three = add(model, "Add", two, constant(np.zeros(3, np.float32), "three"))
    model.graph.node[-2].input[0] = three
    with pytest.raises(InputError, match="cannot be computed"):
        Model(model.SerializeToString())


def test_a_field_that_stands_twice_is_refused(small: ModelProto) -> None:
    content = small.SerializeToString()
    with pytest.raises(InputError, match="two values of graph"):  # protocol buffers would merge them
        check_graph(content + ModelProto(graph=small.graph).SerializeToString())


def test_a_file_of_countless_parts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "MOST_FIELDS", 1000)
    with pytest.raises(InputError, match="more than 1,000 parts"):
        check_graph(b"\x72\x00" * 1001)  # an empty metadata entry each


def test_numbers_cut_short_are_damage(model: ModelProto) -> None:
    model.graph.initializer.append(TensorProto(name="cut", data_type=1, dims=[2], float_data=[1, 2]))
    content = model.SerializeToString()
    packed = b"\x22\x08" + np.float32([1, 2]).tobytes()
    with pytest.raises(InputError, match="no ONNX file, or a damaged one"):
        check_graph(content.replace(packed, packed[:1] + b"\x07" + packed[2:]))


@given(data=st.data())
def test_a_changed_byte_gives_a_model_or_a_message(data: st.DataObject, small: ModelProto) -> None:
    content = bytearray(small.SerializeToString())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    accepts_or_explains(bytes(content))


@given(data=st.data())
def test_a_truncated_file_gives_a_model_or_a_message(data: st.DataObject, small: ModelProto) -> None:
    content = small.SerializeToString()
    accepts_or_explains(content[: data.draw(st.integers(0, len(content)))])


@given(st.binary(max_size=200))
def test_any_bytes_give_a_message(content: bytes) -> None:
    accepts_or_explains(content)


def accepts_or_explains(content: bytes) -> None:
    try:
        model = Model(content)
    except InputError:
        return
    assert model.length >= 1
    assert isinstance(model.metadata, dict)


def test_changed_bytes_of_the_shipped_file_end_in_bounded_time() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FLIPS, NORMAL_HEARTS / "normal_hearts.onnx"], cwd=ROOT, timeout=100, check=False
    )
    assert done.returncode == 0


FLIPS = """
import random, sys
from pathlib import Path
import onnxruntime
from ecg.detector.model import Model
from ecg.exceptions import InputError
onnxruntime.set_default_logger_severity(4)
content, draw = Path(sys.argv[1]).read_bytes(), random.Random(0)
for i in range(100):
    changed = bytearray(content)
    if i % 2:
        changed[draw.randrange(8000)] = draw.randrange(256)
    else:
        changed[-draw.randrange(1, 8000)] = draw.randrange(256)
    try:
        Model(bytes(changed)).metadata
    except InputError:
        pass
"""
