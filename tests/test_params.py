import copy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.utils.hydra import apply_overrides

from ecg import models, params
from ecg.exceptions import InputError

ROOT = Path(__file__).parents[1]


@pytest.fixture
def record() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "params.yaml").read_text())


def refusal(record: Any, tmp_path: Path) -> str:
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(record))
    with pytest.raises(InputError) as refused:
        params.load(path)
    return str(refused.value)


@pytest.mark.parametrize(
    ("section", "name", "value", "expected"),
    [
        ("fetch", "dataset", "../../etc/passwd", "string should match pattern"),
        ("fetch", "sources", [], "at least 1 item"),
        ("preprocess", "scaling", "minmax", "'none', 'unit', 'standard' or 'filter'"),
        ("preprocess", "smoothing", -1.0, "greater than or equal to 0"),
        ("preprocess", "detrend", 1.5, "valid integer"),
        ("train", "model", "transformer", "one of conv1d, dense, lstm, rocket, vae"),
        ("preprocess", "normal_class", "one", "valid integer"),
        ("train", "seed", -1, "greater than or equal to 0"),
        ("train", "folds", 0, "greater than or equal to 1"),
        ("train", "epochs", -5, "greater than or equal to 1"),
        ("train", "epochs", 2.5, "valid integer"),
        ("train", "epochs", True, "valid integer"),
        ("train", "batch_size", 0, "greater than or equal to 1"),
        ("train", "learning_rate", "1e-3", "write 0.001"),
        ("train", "learning_rate", float("inf"), "finite number"),
        ("train", "schedule", "cosine", "'constant' or 'one_cycle'"),
        ("train", "device", "gpu", "'cpu' or 'cuda'"),
        ("train", "warp", -0.1, "greater than or equal to 0"),
        ("train", "wander", "0.1", "valid number"),
        ("calibrate", "method", "guess", "'percentile', 'conformal', 'conformal_conditional', 'pot' or 'f1'"),
        ("calibrate", "alpha", 0, "greater than 0"),
        ("calibrate", "alpha", 1.0, "less than 1"),
        ("calibrate", "delta", 0.0, "greater than 0"),
        ("calibrate", "tail", 1.0, "less than 1"),
        ("calibrate", "fdr", "0.1", "valid number"),
        ("calibrate", "percentile", 101, "less than or equal to 100"),
        ("evaluate", "histogram_bins", 1, "greater than or equal to 2"),
        ("evaluate", "resamples", 10, "greater than or equal to 100"),
    ],
)
def test_the_message_names_a_wrong_value_and_what_is_accepted(
    record: dict[str, Any], tmp_path: Path, section: str, name: str, value: Any, expected: str
) -> None:
    record[section][name] = value
    message = refusal(record, tmp_path)
    assert f"{section}.{name} is {value!r}" in message
    assert expected.lower() in message.lower()


def test_the_message_for_an_unknown_key_lists_the_accepted_ones(record: dict[str, Any], tmp_path: Path) -> None:
    record["train"]["epoch"] = 3
    message = refusal(record, tmp_path)
    assert "train.epoch is not a known parameter" in message
    assert "epochs" in message


def test_one_message_names_all_missing_parameters_and_sections(record: dict[str, Any], tmp_path: Path) -> None:
    del record["calibrate"]["alpha"], record["preprocess"]
    message = refusal(record, tmp_path)
    assert "calibrate.alpha is missing" in message
    assert "preprocess is missing" in message


@pytest.mark.parametrize("content", ["", "42", "- a\n- b\n", "a: [", "train: {\n"])
def test_a_file_that_is_not_a_mapping_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(content)
    with pytest.raises(InputError, match=r"params\.yaml"):
        params.load(path)


LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 40)) + "train: *a39\n"


@pytest.mark.parametrize(
    ("content", "printed"),
    [
        (LAUGHS, "anchors and aliases are not accepted\n.*line 1, column 5"),
        ("fetch: &a [*a]", "anchors and aliases are not accepted\n.*line 1, column 8"),
        ("[" * 3000, "nested too deeply\n.*line 1, column 21"),
        ("a: " + "1" * 5000, "an integer is too long\n.*line 1, column 4"),
        ("a: 0x" + "f" * 5000, "an integer is too long"),
        ("train:\n  seed: 1\n  seed: 2\n", "the key 'seed' is repeated\n.*line 3, column 3"),
        ("a: 2024-13-45", "month must be in 1..12"),
        ("a: !!int ''", "string index"),
        ("a: !!timestamp x", "is not YAML"),
        ("a: " + "x" * params.LARGEST, "has more than 262,144 bytes"),
        ("a: \0", "is not YAML"),
    ],
)
def test_yaml_that_no_params_need_is_refused(tmp_path: Path, content: str, printed: str) -> None:
    (tmp_path / "params.yaml").write_text(content)
    with pytest.raises(InputError, match=printed):
        params.load(tmp_path / "params.yaml")


def test_a_message_is_short_and_can_be_printed(record: dict[str, Any], tmp_path: Path) -> None:
    record["train"] |= {"model": "x" * 100_000, "\x1b[31m": 1, "seed": "y" * 100_000}
    record["fetch"]["sources"] = list(range(1000))
    message = refusal(record, tmp_path)
    assert len(message) < 10_000
    assert message.replace("\n", "").isprintable()


def test_the_message_for_a_missing_file_says_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="run from the root of the repository"):
        params.load(tmp_path / "params.yaml")


def test_an_architecture_is_a_file_and_a_section(record: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"train\.model is 'transformer': it should be one of .*dense"):
        models.build("transformer", record["models"], 1, 140)
    with pytest.raises(InputError, match=r"models\.dense is missing"):
        models.build("dense", {}, 1, 140)


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        ("dense", {"latent": 0}, "latent is 0: it should be greater than or equal to 1"),
        ("dense", {"hidden": [64, "16"]}, "hidden.1 is '16'"),
        ("dense", {"hiden": [64]}, "hiden is not a known parameter; accepted here: hidden, latent, noise"),
        ("dense", {"noise": -1.0}, "noise is -1.0: it should be greater than or equal to 0"),
        ("conv1d", {"channels": []}, "channels is []: list should have at least 1 item"),
        ("conv1d", {"kernel": 4}, "kernel is 4: value error, it should be odd"),
        ("lstm", {"patch": 0}, "patch is 0: it should be greater than or equal to 1"),
        ("vae", {"beta": -0.5}, "beta is -0.5: it should be greater than or equal to 0"),
        ("vae", {"score": "likelihood"}, "score is 'likelihood': it should be 'error' or 'elbo'"),
    ],
)
def test_an_architecture_checks_its_own_section(
    record: dict[str, Any], name: str, change: dict[str, Any], expected: str
) -> None:
    sections = copy.deepcopy(record["models"])
    sections[name] |= change
    with pytest.raises(InputError, match=rf"params\.yaml: models\.{name}") as refused:
        models.build(name, sections, 1, 140)
    assert expected.lower() in str(refused.value).lower()


def test_a_chosen_architecture_without_a_section_is_refused(record: dict[str, Any], tmp_path: Path) -> None:
    del record["models"]["lstm"]
    record["train"]["model"] = "lstm"
    assert "params.yaml: models.lstm is missing; train.model asks for it" in refusal(record, tmp_path)


@pytest.mark.parametrize("source", ["archive", "recording"])
def test_every_architecture_has_a_section_that_it_accepts(record: dict[str, Any], source: str) -> None:
    record["fetch"]["source"] = source
    sections = params.parse(record, "params.yaml").models
    assert (
        set(models.names())
        == set(sections)
        == set(params.ARCHITECTURES)
        == {"conv1d", "dense", "lstm", "rocket", "vae"}
    )
    for name in models.names():
        models.build(name, sections, 1, 140)


def parsed(record: dict[str, Any], source: str) -> params.Params:
    return params.parse(record | {"fetch": record["fetch"] | {"source": source}}, "params.yaml")


def test_overrides_apply_to_a_recording_only(record: dict[str, Any]) -> None:
    record["recording"]["overrides"] = {"train": {"warp": 0.5}, "models": {"dense": {"latent": 4}}}
    archive, recording = parsed(record, "archive"), parsed(record, "recording")
    assert archive == parsed(record | {"recording": {"overrides": {}}}, "archive")
    assert (archive.train.warp, recording.train.warp) == (record["train"]["warp"], 0.5)
    assert recording.models["dense"] == record["models"]["dense"] | {"latent": 4}
    assert recording.train.model_copy(update={"warp": archive.train.warp}) == archive.train
    assert params.flat(record["recording"]["overrides"]) == {"train.warp": 0.5, "models.dense.latent": 4}


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"train": {"warp": 7}}, "params.yaml, with recording.overrides: train.warp is 7"),
        ({"train": {"wrap": 0.1}}, "params.yaml, with recording.overrides: train.wrap is not a known parameter"),
        ({"models": {"dense": {"latent": 0}}}, "params.yaml, with recording.overrides: models.dense: latent is 0"),
        ({"train": {"model": "gru"}}, "params.yaml, with recording.overrides: train.model is 'gru'"),
        ({"fetch": {"dataset": "mine"}}, "recording.overrides.fetch"),
        ({"train": 3}, "recording.overrides.train is 3"),
        (None, "recording.overrides is None"),
    ],
)
@pytest.mark.parametrize("source", ["archive", "recording"])
def test_a_wrong_override_is_refused_for_every_source(
    record: dict[str, Any], overrides: Any, expected: str, source: str
) -> None:
    record["recording"]["overrides"] = overrides
    with pytest.raises(InputError) as refused:
        parsed(record, source)
    assert str(refused.value).startswith("params.yaml")
    assert expected in str(refused.value)


@pytest.mark.parametrize("source", ["archiv", None, ["archive"], 3])
def test_an_unknown_source_gives_one_line(record: dict[str, Any], source: Any) -> None:
    with pytest.raises(InputError, match=r"fetch\.source is .*'archive' or 'recording'") as refused:
        parsed(record, source)
    assert "\n" not in str(refused.value)


def test_checking_an_architecture_imports_no_torch() -> None:
    code = "import sys; from ecg import params; params.load(); print('torch' in sys.modules)"
    output = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    assert output == "False\n"


@pytest.mark.parametrize(
    ("name", "value"),
    [("minutes", 0), ("rate", -1), ("lead", -1), ("annotations", "../atr"), ("annotations", ""), ("path", 3)],
)
def test_a_wrong_value_of_a_recording_is_refused(record: dict[str, Any], name: str, value: object) -> None:
    record["fetch"]["recording"][name] = value
    with pytest.raises(InputError, match=rf"fetch\.recording\.{name}"):
        parsed(record, "archive")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("highpass", 0),
        ("lowpass", 10),
        ("segmentation", "beat"),
        ("window", [0.1]),
        ("window", [-0.1, 0.4]),
        ("length", 8),
        ("width", 3),
    ],
)
def test_a_wrong_way_of_cutting_is_refused(record: dict[str, Any], name: str, value: object) -> None:
    record["fetch"]["recording"]["beats"][name] = value
    with pytest.raises(InputError, match=rf"fetch\.recording\.beats\.{name}"):
        parsed(record, "archive")


def test_dvc_changes_the_value_that_it_is_told_to_and_no_other_line(tmp_path: Path) -> None:
    """By `dvc exp run -S`: a number, a word, a list, one deep inside, and one that is empty."""
    path = Path(shutil.copy(ROOT / "params.yaml", tmp_path))
    values = [
        "train.seed=0",
        "calibrate.method=conformal",
        "models.conv1d.channels=[8,16]",
        "fetch.recording.path=null",
    ]
    apply_overrides(path, [*values, "recording.overrides.models.dense.latent=16"])
    before = path.read_text().splitlines()
    assert before == (ROOT / "params.yaml").read_text().splitlines()
    for value, old, new in (
        ("train.seed=1", "  seed: 0", "  seed: 1"),
        ("calibrate.method=pot", "  method: conformal # ", "  method: pot       # "),
        ("models.conv1d.channels=[8,4]", "    - 16", "    - 4"),
        ("fetch.recording.path=mine.edf", "    path: # ", "    path: mine.edf # "),
    ):
        apply_overrides(path, [value])
        after = path.read_text().splitlines()
        ((line, changed),) = [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]
        assert line.startswith(old)
        assert changed == line.replace(old, new)
        before = after
