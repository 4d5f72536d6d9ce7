"""Any number of recordings, or of tables of beats: in this process, in several, or on a Dask cluster.

archive     what is common to all: inputs to do, done and failed; the run, its end, and what it would take
inputs      what INPUT... names: files, folders, patterns, records, addresses
places      local folders and object stores
manifest    what is done, known by content, model and parameters
workers     Dask's workers, and what is reported of them
beats       tables of beats to Parquet parts with verdicts
recordings  recordings to tables of recordings, alarms and episodes, and an index
learning    recordings to what is learnt of each patient
index       the page of an archive that was scanned
"""
