"""Estimators with the interface of scikit-learn and the names of PyOD, trained without DVC by the same code as the stages.

kinds         the default parameters, by the kind of beats; their check
autoencoder   AutoencoderDetector: fitted to normal beats, scores beats
stored        an estimator as safetensors, which hold no code
series        SeriesDetector: fitted to a normal series, scores each sample of a series
periods       how long a series takes to repeat itself
"""
