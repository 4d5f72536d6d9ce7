"""From the errors of normal beats to the threshold from which a beat is called anomalous.

A method is a function of the errors and the `calibrate` section of params.yaml that returns the threshold. To add one:
write it, enter it in METHODS, and name it in `ecg.params.Calibrate`.
"""

from collections.abc import Callable

import numpy as np

from ecg.errors import Errors
from ecg.exceptions import InputError
from ecg.params import Calibrate


def percentile(errors: Errors, settings: Calibrate) -> float:
    """The given percentile of the errors: held-out ones where there are any, else those of the beats trained on.

    The starting recipe's rule. On errors of beats that the model was fitted to it promises nothing: the longer the
    training, the further these errors fall below those of new beats.
    """
    return float(np.percentile(errors.calibrating, settings.percentile))


def conformal(errors: Errors, settings: Calibrate) -> float:
    """The smallest threshold at which a beat's conformal p-value among the held-out errors is at most alpha.

    p(score) = (1 + #{held-out errors >= score}) / (n + 1). If a new normal beat is exchangeable with the held-out ones,
    it is called anomalous with a probability of at most alpha. (Vovk, Gammerman, Shafer 2005; Bates, Candes, Lei,
    Romano, Sesia 2023, "Testing for outliers with conformal p-values".)

    A held-out error is one member's, a new beat's score the mean over all. The two have the same expectation under
    exchange, but the mean spreads less, so the alarm rate tends to stay below alpha.

    Raises
    ------
    InputError
        if there are no held-out errors, or too few for alpha.
    """
    if errors.held_out is None:
        raise InputError(
            "params.yaml: calibrate.method is 'conformal', which needs errors on held-out beats: set train.folds to 2 "
            "or more, or calibrate.method to 'percentile'"
        )
    n, allowed = len(errors.held_out), attainable_count(len(errors.held_out), settings.alpha)
    if allowed < 1:
        raise InputError(
            f"params.yaml: calibrate.alpha is {settings.alpha}: the smallest p-value that {n} held-out beats can give "
            f"is {1 / (n + 1):.3g}; {int(np.ceil(1 / settings.alpha)) - 1} beats would do, or a larger alpha"
        )
    # p <= alpha means at most allowed - 1 held-out errors at or above the score: just above the allowed-th largest.
    return float(np.nextafter(np.sort(errors.held_out)[-allowed], np.float32(np.inf)))


def attainable_count(n: int, alpha: float) -> int:
    """The largest k with k / (n + 1) <= alpha: conformal p-values are multiples of 1 / (n + 1)."""
    return min(int(alpha * (n + 1) * (1 + 1e-12)), n)  # in floating point, 0.29 * 100 is less than 29


METHODS: dict[str, Callable[[Errors, Calibrate], float]] = {"conformal": conformal, "percentile": percentile}
