"""What ships: raw beats in, verdicts out. NumPy and ONNX Runtime, no torch.

model, calibration   the ONNX file; how its scores become p-values and verdicts
verdicts             what is said of beats
detector             both of them together: what people use
thresholds           from errors on held-out beats to a calibration, by one of several methods
stream               thresholds that follow slow change
explanation          why a beat has its score
tables, parquet      beats in files of other people's, in blocks
batch                verdicts on a table of any length
"""
