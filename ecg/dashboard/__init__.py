"""A dashboard over a trained detector, in a browser: `ecg dashboard`.

start, app        what starts Streamlit, and what it runs
page              the frame around the five views
browse            the test beats by class and verdict
threshold         what another alpha would change
upload            verdicts on beats of one's own
recording         the alarms in a recording of one's own
beat, charts      one beat and why it has its score; what is drawn
timeline_charts   what is drawn of a scanned recording
loading           the model and the test beats, read once
messages          what is said when something is wrong or missing

ECG_MODELS names the folder of the model, ECG_TEST_BEATS the file of the test beats, where these are not the pipeline's.
"""
