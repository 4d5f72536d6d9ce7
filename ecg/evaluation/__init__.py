"""How well a detector does, and what made it.

metrics, reliability   how well scores tell beats apart, and whether thresholds keep their promise
evaluation             beats, what a detector says of them, and which are normal, anomalous or of unknown class
summary                the metrics and alarms, with their intervals
curves                 the tables that DVC draws
examples               the beats worth drawing
drawing, figures       how they are drawn
provenance, card       what made a model and what came of it; the same for people
"""
