"""The estimator keeps scikit-learn's contract, and is the pipeline's own detector underneath."""

import copy
import pickle  # noqa: TID251 - what scikit-learn's tools move estimators by
import pickletools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from ecg import AutoencoderDetector, Detector
from ecg.estimators.autoencoder import _resampled

FAST = {"kind": "ecg5000", "epochs": 1, "folds": 2}


@pytest.fixture(scope="module")
def pipelines(normal: np.ndarray) -> AutoencoderDetector:
    """Fitted to what `dvc repro` fits to, with its parameters."""
    return AutoencoderDetector(kind="ecg5000").fit(normal)


@pytest.fixture(scope="module")
def fast(normal: np.ndarray) -> AutoencoderDetector:
    return AutoencoderDetector(**FAST).fit(normal[:60])


@parametrize_with_checks([AutoencoderDetector()])
@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_checks_pass(estimator, check):
    check(estimator)


def test_it_scores_as_the_detector_that_it_saves(pipelines, tmp_path, test):
    pipelines.save(tmp_path / "new folder")
    verdicts = Detector.load(tmp_path / "new folder").score(test.samples)
    np.testing.assert_array_equal(-pipelines.score_samples(test.samples), verdicts.score.astype(float))
    np.testing.assert_array_equal(pipelines.p_values(test.samples), verdicts.p_value)
    np.testing.assert_array_equal(pipelines.predict(test.samples, alpha=0.05) == -1, verdicts.anomalous)


def test_a_verdict_differs_from_its_p_value_only_where_members_disagree(pipelines, test):
    differing = pipelines.predict(test.samples) != pipelines.predict(test.samples, alpha=0.05)
    assert differing.mean() < 0.005
    assert np.abs(pipelines.p_values(test.samples[differing]) - 0.05).max() < 0.02


def test_a_saved_estimator_comes_back(pipelines, tmp_path, normal, test):
    pipelines.save(tmp_path)
    restored = AutoencoderDetector.from_pretrained(tmp_path)
    np.testing.assert_array_equal(restored.predict(test.samples), pipelines.predict(test.samples))
    np.testing.assert_array_equal(restored.decision_scores_, pipelines.decision_scores_)
    again = restored.fit(normal)
    np.testing.assert_array_equal(again.score_samples(test.samples), pipelines.score_samples(test.samples))


def test_files_that_do_not_belong_together_are_refused(fast, pipelines, tmp_path):
    pipelines.save(tmp_path)
    (tmp_path / "autoencoder.onnx").write_bytes(fast._model)
    with pytest.raises(ValueError, match="belongs to another model"):
        AutoencoderDetector.from_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"autoencoder\.onnx is missing"):
        AutoencoderDetector.from_pretrained(tmp_path / "empty")


def test_a_pickle_of_it_holds_bytes_and_one_function(fast, normal):
    content = pickle.dumps(fast)
    names = [argument for code, argument, _ in pickletools.genops(content) if "UNICODE" in code.name]
    assert names == ["ecg.estimators.autoencoder", "_restored", "AutoencoderDetector"]
    restored = pickle.loads(content)  # noqa: S301 - made above
    np.testing.assert_array_equal(restored.score_samples(normal), fast.score_samples(normal))
    np.testing.assert_array_equal(restored.labels_, fast.labels_)
    assert restored.get_params() == fast.get_params()


def test_parameters_that_are_no_json_are_not_moved():
    with pytest.raises(TypeError, match="cannot be stored"):
        pickle.dumps(AutoencoderDetector(random_state=np.random.RandomState(0)))


def test_names_of_columns_are_kept_and_compared(fast, normal):
    frame = pd.DataFrame(normal[:60], columns=[f"sample {i}" for i in range(140)])
    named = copy.deepcopy(clone(fast).fit(frame))
    assert list(named.feature_names_in_) == list(frame.columns)
    with pytest.raises(ValueError, match="feature names"):
        named.predict(frame[frame.columns[::-1]])


def test_it_works_in_a_pipeline_a_search_and_cross_validation(normal):
    steps = make_pipeline(FunctionTransformer(np.tanh), AutoencoderDetector(**FAST))
    search = GridSearchCV(
        steps,
        {"autoencoderdetector__latent": [1, 8]},
        scoring=lambda fitted, held_out: fitted.score_samples(held_out).mean(),
        cv=KFold(2),
    ).fit(normal[:40])
    assert search.best_params_ == {"autoencoderdetector__latent": 8}
    scores = cross_val_predict(steps, normal[:40], cv=2, method="decision_function")
    assert scores.shape == (40,)
    assert np.isfinite(scores).all()


def test_training_scores_are_of_members_that_have_not_seen_the_beat(fast, normal):
    assert fast.decision_scores_.shape == (60,)
    fold = fast.errors_.fold
    members = fast.detector_.model.member_scores(normal[:60])
    np.testing.assert_allclose(fast.decision_scores_, members[np.arange(60), fold], rtol=1e-5)
    np.testing.assert_array_equal(fast.labels_, fast.decision_scores_ > fast.threshold_)


def test_as_many_training_beats_are_outliers_as_accepted(normal):
    fitted = AutoencoderDetector(**FAST, alpha=0.2).fit(normal[:60])
    assert fitted.labels_.sum() == int(0.2 * 61) - 1  # the beat at the threshold is still normal


def test_a_given_fold_is_the_one_that_is_left_out(normal):
    fold = np.arange(60) // 30
    fitted = AutoencoderDetector(**FAST).fit(normal[:60], fold=fold)
    np.testing.assert_array_equal(fitted.errors_.fold, fold)


def test_probabilities_order_beats_as_scores_do(pipelines, test):
    probability = pipelines.predict_proba(test.samples)
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    by_score = probability[np.argsort(-pipelines.score_samples(test.samples)), 1]
    assert (np.diff(by_score) >= 0).all()


def test_confidence_is_least_at_the_threshold(pipelines, test):
    confidence = pipelines.predict_confidence(test.samples)
    assert (confidence >= 0).all()
    assert (confidence <= 1).all()
    distance = np.abs(pipelines.decision_function(test.samples))
    assert confidence[distance.argmin()] < 0.8 < np.median(confidence)


def test_an_explanation_adds_up_to_the_score(fast, normal, test):
    (explained,) = fast.explain(test.samples[-1:], normal=normal[:60])
    assert explained.contribution.sum() == pytest.approx(-fast.score_samples(test.samples[-1:])[0])
    assert explained.neighbour is not None


def test_few_beats_get_the_smallest_possible_alpha_and_a_warning(normal):
    with pytest.warns(UserWarning, match=r"10 beats cannot promise .* alpha is 0.0909"):
        fitted = AutoencoderDetector(**FAST).fit(normal[:10])
    assert fitted.detector_.calibration.alpha == pytest.approx(1 / 11)
    with pytest.raises(ValueError, match=r"alpha is 0\.05: .* 19 beats would do"):
        AutoencoderDetector(**FAST, alpha=0.05).fit(normal[:10])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"kind": "mitdb"}, "kind is 'mitdb': it should be one of ecg5000, generic"),
        ({"model": "transformer"}, "model is 'transformer': it should be one of"),
        ({"folds": 40}, "folds is 40: 60 normal beats allow at most 30"),
        ({"alpha": 2.0}, "AutoencoderDetector: alpha is 2.0: it should be less than 1"),
        ({"latent": "two"}, "AutoencoderDetector: latent is 'two'"),
        ({"kernel": 3}, "kernel is not a parameter of model 'dense'"),
        ({"learning_rate": 1e30}, "^learning_rate is 1e.30: the loss is no longer a finite number"),
    ],
)
def test_a_wrong_parameter_is_named(parameters, message, normal):
    with pytest.raises(ValueError, match=message):
        AutoencoderDetector(**{"kind": "ecg5000", "epochs": 1} | parameters).fit(normal[:60])


def test_beats_that_are_too_large_for_single_precision_are_refused(fast, normal):
    with pytest.raises(ValueError, match="infinity"):
        fast.predict(normal[:2].astype(float) * 1e300)


def test_p_values_need_two_folds(normal):
    fitted = AutoencoderDetector(kind="ecg5000", epochs=1, folds=1, method="percentile").fit(normal[:30])
    with pytest.raises(ValueError, match="two folds"):
        fitted.p_values(normal[:2])


def test_what_is_not_fitted_does_not_score(normal):
    with pytest.raises(NotFittedError):
        AutoencoderDetector().p_values(normal)


def test_beats_of_unequal_length_are_interpolated_where_a_length_is_given(normal):
    unequal = [np.interp(np.linspace(0, 139, 100 + i), np.arange(140), beat) for i, beat in enumerate(normal[:40])]
    fitted = AutoencoderDetector(**FAST, length=140).fit(unequal)
    assert fitted.n_features_in_ == 140
    np.testing.assert_allclose(fitted.score_samples(unequal[:3]), fitted.score_samples(normal[:3]), rtol=0.3)
    with pytest.raises(ValueError, match="inhomogeneous"):
        AutoencoderDetector(**FAST).fit(unequal)
    with pytest.raises(ValueError, match=r"beat 1 has shape \(2, 2\)"):
        fitted.predict([normal[0], np.zeros((2, 2))])


@settings(max_examples=30)
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=50), st.integers(2, 60))
def test_interpolation_keeps_the_ends_and_the_range(beat, length):
    (result,) = _resampled([beat], length)
    assert result[0] == beat[0]
    assert result[-1] == beat[-1]
    assert min(beat) <= result.min() <= result.max() <= max(beat)


def test_another_unit_changes_no_verdict_of_the_generic_kind(normal, test):
    one, other = (
        AutoencoderDetector(features=100).fit(unit * normal[:60] + shift) for unit, shift in ((1, 0), (1000, 7))
    )
    verdicts = one.predict(test.samples[:200])
    assert (verdicts != other.predict(1000 * test.samples[:200] + 7)).mean() < 0.01


def test_threads_do_not_change_scores(fast, test):
    alone = pickle.loads(pickle.dumps(fast.set_params(n_jobs=1)))  # noqa: S301 - made here
    fast.set_params(n_jobs=-1)
    np.testing.assert_array_equal(alone.score_samples(test.samples), fast.score_samples(test.samples))


def test_torchs_number_of_threads_is_left_as_it_was(normal):
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    AutoencoderDetector(**FAST).fit(normal[:20])
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)
