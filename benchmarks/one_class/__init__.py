"""Data sets of the UCR archive as one-class tasks: `python -m benchmarks.one_class`, with the packages of `make peers`.

A detector is fitted to the normal examples of TRAIN, and scores all of TEST: AUC and average precision of "not normal".

sets        the data sets, their halves, their normal classes, and where they come from
detectors   this project's and others', behind one interface
ranks       figures, ranks and their intervals, and what they say
diagram     the critical-difference diagram
"""
