"""The detector that ships: raw beats in, verdicts out, on NumPy and ONNX Runtime alone.

model, calibration   the ONNX file; how its scores become p-values and verdicts
verdicts             the verdicts on beats
detector             the model with its calibration: what people use
thresholds           from errors of held-out beats to a calibration, by one of several methods
stream               a threshold that follows slow change
explanation          why a beat has its score
tables, parquet      tables of beats in CSV, TSV, NPY and Parquet files
zarr_array, _chunks  beats in Zarr arrays, in a folder or an object store
batch                verdicts on a table of any length
"""
