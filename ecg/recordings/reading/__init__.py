"""One lead of a recording, read part by part, from whatever people keep recordings in.

opening       `open_lead`: finds out what a recording is, and opens it
lead          `Lead`, and what every format needs: units, names that are safe to print, how a lead was read
choosing      which lead is read: by its name, by its number, or the first that can be an ECG
kinds         what a file is, by its content
wfdb_record   WFDB records, of several segments too; physionet downloads them
edf           EDF, EDF+ and BDF
ishne         ISHNE Holter files
table         tables of numbers in text: layout finds their dialect, header and columns, times their time column
memory        NumPy arrays, data frames and records that are in memory; NPY files
archive       a zip with one recording

The libraries that read are wfdb, edfio, pandas and NumPy. Of a damaged or truncated file, what can be read is read, and
the other samples are missing; a file of which nothing can be read is an InputError.
"""

from ecg.recordings.reading.lead import MAX_LEADS, SAMPLING_RATES, Lead
from ecg.recordings.reading.opening import open_lead

__all__ = ["MAX_LEADS", "SAMPLING_RATES", "Lead", "open_lead"]
