"""scikit-learn's and PyOD's interface to the detector: trained without DVC, by the same code as the stages.

kinds         the default parameters, by the kind of beats; their check
autoencoder   AutoencoderDetector: fitted to normal beats, scores beats
stored        an estimator as safetensors, which hold no code
series        SeriesDetector: fitted to a normal series, scores each sample of a series
periods       how long a series takes to repeat itself
"""

from ecg.exceptions import needed_for

with needed_for("an estimator", "train"):
    import sklearn  # noqa: F401
