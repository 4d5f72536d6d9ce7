"""Fuzz every parser, guided by coverage: `python -m benchmarks.fuzz`, by atheris.

targets       what is fuzzed: functions that read bytes as people's files and requests are read
seeds         small real files that fuzzing starts from
findings      what a case may not do, and the smallest case of each finding
worker        fuzzes one target, in a process of its own

A case may end in a value or in an InputError whose message can be printed. Anything else is a finding: another
exception, the end of the process, more than SECONDS seconds, or more than MEMORY bytes. Cases that found something are
kept in tests/corpus/TARGET/, where fuzzing starts from them, too; the tests replay them.
"""
