"""A dashboard of a trained detector in the browser: `ecg dashboard`.

start, app  what starts Streamlit, and the script that it runs
page        the page with its five views
browse      the test beats by class and verdict
threshold   the effect of another alpha
upload      verdicts on uploaded beats
recording   an uploaded recording: its files, how it is scanned, and errors
scanned     what a scan found: the parts of its report, and strips that are asked for
learning    what is learnt of a patient, for as long as the session lasts
results     what the views of uploaded files share
beat        one beat and where its score comes from
charts      charts of beats and the ROC curve
loading     the model and the test beats, read once
messages    errors and other messages

The environment variables ECG_MODELS (the model's folder) and ECG_TEST_BEATS (the file of test beats) replace the
pipeline's paths.
"""
