"""The parameters of an estimator: defaults by kind, which values are accepted, and which are refused by name."""

import json
import re
import warnings
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecg import AutoencoderDetector
from ecg.data.training_errors import TrainingErrors
from ecg.detector import thresholds
from ecg.detector.calibration import Calibration
from ecg.estimators import kinds
from ecg.estimators.kinds import KINDS, RENAMED, Settings, attainable, checked_fold, parameters_of, settings
from ecg.exceptions import InputError
from ecg.params import ARCHITECTURES, Params
from tests.conftest import calibrating

NAMED = {name: estimators for estimators, name in RENAMED.items()}  # an architecture's parameter -> the estimator's
OF_MODEL = {model: {NAMED.get(name, name) for name in each.model_fields} for model, each in ARCHITECTURES.items()}


def with_(kind: str = "ecg5000", **given: object) -> Settings:
    return settings(kind, given, seed=0)


def refusal(name: str, value: object) -> str:
    """What is wrong with a parameter, if something is."""
    try:
        with_("generic", **{name: value})
    except InputError as error:
        return str(error)
    return ""


@pytest.fixture(scope="module")
def calibration(errors: TrainingErrors) -> Calibration:
    return thresholds.calibrate(errors, calibrating(), "0" * 64)


# Defaults.


def test_the_defaults_of_ecg5000_are_those_of_the_pipeline(committed: Params) -> None:
    default = with_()
    assert default.preprocess == committed.preprocess
    assert default.train == committed.train
    assert default.models == {committed.train.model: committed.models[committed.train.model]}
    assert default.calibrate == committed.calibrate
    assert committed.models == KINDS["ecg5000"]["models"]


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_a_value_for_each_parameter_of_each_architecture(kind: str) -> None:
    assert KINDS[kind].keys() == KINDS["ecg5000"].keys()
    for model in ARCHITECTURES:
        assert with_(kind, model=model).models[model].keys() == ARCHITECTURES[model].model_fields.keys()


def test_parameters_of_the_estimator_are_those_of_the_sections_and_four_more() -> None:
    sections = KINDS["ecg5000"]
    named = {
        NAMED.get(name, name) for name in chain(*(sections[section] for section in sections if section != "models"))
    }
    own = {"kind", "length", "random_state", "n_jobs"}
    assert AutoencoderDetector().get_params().keys() == named | own | set().union(*OF_MODEL.values())


def test_no_name_is_in_two_sections() -> None:
    sections = KINDS["ecg5000"]
    others = [*sections["preprocess"], *sections["train"], *sections["calibrate"]]
    assert len(others) == len(set(others))
    assert not set(others) & set().union(*OF_MODEL.values())


def test_changing_a_parameter_changes_no_default() -> None:
    before = json.dumps({kind: KINDS[kind] for kind in KINDS})
    with_("generic", model="vae", hidden=[3], vae_score="elbo", epochs=1, alpha=0.5, scaling="none")
    assert json.dumps({kind: KINDS[kind] for kind in KINDS}) == before


# What is accepted.


@pytest.mark.parametrize(
    ("given", "accepted"),
    [
        ({"epochs": np.int64(3)}, 3),
        ({"epochs": np.array(3)}, 3),
        ({"learning_rate": np.float64(0.25)}, 0.25),
        ({"smoothing": 2}, 2.0),
        ({"smoothing": np.int32(2)}, 2.0),
        ({"percentile": 90}, 90.0),
        ({"hidden": (32, 16)}, [32, 16]),
        ({"hidden": (np.int64(32), 16)}, [32, 16]),
        ({"hidden": np.array([32, 16])}, [32, 16]),
        ({"scaling": np.str_("none")}, "none"),
    ],
    ids=repr,
)
def test_values_of_numpy_and_tuples_are_those_of_yaml(given: dict, accepted: object) -> None:
    ((name, _),) = given.items()
    chosen = with_(**given)
    sections = [chosen.preprocess, chosen.train, chosen.calibrate]
    record = chosen.models["dense"] | {
        key: value for section in sections for key, value in section.model_dump().items()
    }
    assert record[name] == accepted
    assert type(record[name]) is type(accepted)
    json.dumps(record)  # it is stored with the model


def test_none_is_the_default() -> None:
    assert with_(model=None, epochs=None, hidden=None) == with_()


def test_parameters_of_the_architecture_go_to_the_model_that_is_chosen() -> None:
    chosen = with_("generic", model="vae", hidden=(8,), vae_score="elbo")
    assert chosen.train.model == "vae"
    assert chosen.models == {"vae": KINDS["generic"]["models"]["vae"] | {"hidden": [8], "score": "elbo"}}


# What is refused.


@pytest.mark.parametrize("model", ARCHITECTURES)
def test_a_parameter_of_another_architecture_is_refused_by_name(model: str) -> None:
    for name in set().union(*OF_MODEL.values()) - OF_MODEL[model]:
        with pytest.raises(InputError, match=f"{name} is not a parameter of model '{model}', which has "):
            with_(model=model, **{name: 1})


def test_the_estimator_refuses_it_with_the_error_of_scikit_learn() -> None:
    with pytest.raises(ValueError, match="kernel is not a parameter of model 'dense', which has hidden, latent, noise"):
        AutoencoderDetector(model="dense", kernel=3).fit(np.eye(6))


@pytest.mark.parametrize("kind", ["ecg", "", None, ["generic"], 1])
def test_an_unknown_kind_is_refused_with_those_there_are(kind: object) -> None:
    with pytest.raises(InputError, match=re.escape(f"kind is {kind!r}: it should be one of ecg5000, generic")):
        with_(kind)


@pytest.mark.parametrize("model", ["transformer", "", ["dense"], 1])
def test_an_unknown_model_is_refused_with_those_there_are(model: object) -> None:
    with pytest.raises(InputError, match=r"model is .*: it should be one of conv1d, dense, lstm, rocket, vae"):
        with_(model=model)


@pytest.mark.parametrize(
    "given",
    [
        {"epochs": 0},
        {"epochs": 2.5},
        {"epochs": True},
        {"epochs": "3"},
        {"folds": 0},
        {"alpha": 0},
        {"alpha": 1.5},
        {"alpha": float("nan")},
        {"learning_rate": np.inf},
        {"hidden": 64},
        {"hidden": "64"},
        {"hidden": [0]},
        {"hidden": np.array([[64]])},
        {"latent": np.float64(2.5)},
        {"scaling": "minmax"},
        {"method": print},
        {"schedule": ["constant"]},
        {"device": "tpu"},
    ],
    ids=repr,
)
def test_a_value_that_is_not_accepted_is_refused_by_name(given: dict) -> None:
    ((name, _),) = given.items()
    with pytest.raises(InputError, match=rf"AutoencoderDetector: {name}(\.0)? is "):
        with_(**given)


@given(
    st.sampled_from(sorted(AutoencoderDetector().get_params().keys() - {"kind", "length", "random_state", "n_jobs"})),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers()) | st.binary(),
)
def test_any_value_is_accepted_or_refused_by_name(name: str, value: object) -> None:
    message = refusal(name, value)
    assert message == "" or f"AutoencoderDetector: {name}" in message


# Folds that are given.


@given(st.lists(st.integers(0, 3), min_size=4, max_size=20), st.sampled_from([np.int64, np.uint8, list]))
def test_folds_are_accepted_if_each_member_is_fitted_to_a_beat(fold: list[int], kind: type) -> None:
    given_fold = fold if kind is list else np.array(fold, kind)
    if len(set(fold)) > 1:
        checked = checked_fold(given_fold, len(fold), 4)
        assert checked.dtype == np.int64
        assert checked.tolist() == fold
    else:
        with pytest.raises(InputError, match=f"fold is {fold[0]} for all beats"):
            checked_fold(given_fold, len(fold), 4)


@pytest.mark.parametrize(
    ("fold", "message"),
    [
        ([0, 1, 2], r"of shape \(3,\): it should be an integer for each of 4 beats"),
        ([[0, 1, 0, 1]], r"of shape \(1, 4\)"),
        ([0.0, 1.0, 0.0, 1.0], "float64"),
        (["a", "b", "a", "b"], "it should be an integer"),
        ([0, 1, 2, 0], "fold is 0 to 2: it should be from 0 to 1"),
        ([-1, 1, 0, 0], "fold is -1 to 1"),
        (1, r"of shape \(\)"),
    ],
)
def test_other_folds_are_refused(fold: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        checked_fold(fold, 4, 2)


def test_the_estimator_refuses_such_folds_before_it_trains() -> None:
    with pytest.raises(ValueError, match="AutoencoderDetector: fold is 0 to 7: it should be from 0 to 4"):
        AutoencoderDetector().fit(np.random.default_rng(0).normal(size=(10, 20)), fold=np.arange(10) % 8)


def test_one_fold_has_all_beats_in_it() -> None:
    assert checked_fold([0, 0, 0], 3, 1).tolist() == [0, 0, 0]


# Few beats.


@given(st.integers(1, 500), st.floats(0.001, 0.5))
def test_alpha_is_what_was_asked_for_or_the_smallest_that_the_beats_allow(beats: int, alpha: float) -> None:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        chosen = attainable(calibrating(alpha=alpha), beats)
    if warned:
        assert chosen.alpha == 1 / (beats + 1) > alpha
    else:
        assert chosen.alpha == alpha > 0.999 / (beats + 1)
    assert kinds.attainable_count(beats, chosen.alpha) >= 1


def test_methods_that_promise_no_rate_keep_their_alpha() -> None:
    assert attainable(calibrating(method="percentile", alpha=0.01), 4).alpha == 0.01


def test_another_number_of_folds_leaves_all_else() -> None:
    assert kinds.with_folds(with_(), 2).train == with_(folds=2).train
    assert kinds.with_folds(with_(), 2).calibrate == with_().calibrate


# From the metadata of a model.


def metadata_of(chosen: Settings) -> dict[str, str]:
    return {"params": json.dumps({"models": chosen.models, "train": chosen.train.model_dump(exclude={"device"})})}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", ARCHITECTURES)
def test_parameters_are_read_from_the_metadata_of_a_model(kind: str, model: str, calibration: Calibration) -> None:
    chosen = with_(kind, model=model, epochs=7)
    parameters = parameters_of(metadata_of(chosen), calibration)
    estimator = AutoencoderDetector(**parameters)
    again = settings(estimator.kind, estimator._given(), estimator.random_state)
    assert (again.models, again.train, again.calibrate) == (chosen.models, chosen.train, chosen.calibrate)


@pytest.mark.parametrize(
    "changes",
    [
        {"train": {"model": "mine"}, "models": {"mine": {"width": 3}}},
        {"models": {"rocket": {"features": 0, "variance": 0.98}}},
        {"models": {"rocket": {"width": 3}}},
        {"models": {}},
        {"models": {"rocket": 3}},
        {"train": {"seed": "a"}},
        {"train": {"epochs": []}},
        {"train": {"more": 1}},
        {"train": {"model": []}},
    ],
    ids=repr,
)
def test_damaged_metadata_are_refused(changes: dict, calibration: Calibration) -> None:
    record = json.loads(metadata_of(with_("generic"))["params"])
    record = {"models": changes.get("models", record["models"]), "train": record["train"] | changes.get("train", {})}
    with pytest.raises(InputError):
        parameters_of({"params": json.dumps(record)}, calibration)


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_metadata_that_are_no_parameters_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="the model's metadata do not say how it was trained"):
        parameters_of({"params": text}, None)


def test_metadata_without_parameters_are_refused(calibration: Calibration) -> None:
    with pytest.raises(InputError, match="the model's metadata do not say how it was trained"):
        parameters_of({}, calibration)
