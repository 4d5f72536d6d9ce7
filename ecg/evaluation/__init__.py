"""How well a detector performs, and how its model was made.

metrics        how well scores separate anomalous beats from normal ones, with confidence intervals
reliability    promised and observed false-alarm rates
evaluation     beats, a detector's verdicts on them, and which are normal, anomalous or of unknown class
summary        metrics/evaluate.json, metrics/details.json and metrics/intervals.json
curves         the tables that DVC draws
examples       the beats that the figures show
figures        the figures
drawing        colours, resolution and file format of all figures
provenance     provenance.json: the data, parameters and packages that made a model, and its metrics
card           the model card
"""
