"""Whether the HTTP service conforms to its OpenAPI document: `python -m benchmarks.contract`, after `dvc repro`.

schemathesis tests the running service, with a key, by all its checks. Binary beats are generated here: a schema of
bytes cannot say that they are float32 numbers in rows of a beat's length.
"""

import os
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import schemathesis
import typer
from hypothesis import strategies as st

from benchmarks.service import served
from ecg.detector.model import Model

HOOKS = "SCHEMATHESIS_HOOKS"
KEY = "a-key"

if HOOKS in os.environ:  # schemathesis imports this module
    sample = st.floats(-1e6, 1e6, width=32)
    length = Model.load("models").length
    beat = st.lists(sample, min_size=length, max_size=length).map(lambda row: struct.pack(f"<{length}f", *row))
    schemathesis.openapi.media_type("application/octet-stream", st.lists(beat, min_size=1, max_size=5).map(b"".join))


def main(
    examples: Annotated[int, typer.Option(min=1, help="Largest number for each operation.")] = 500,
    seeds: Annotated[int, typer.Option(min=1, help="Number of runs, each with cases of its own.")] = 1,
) -> None:
    """Test the running service against its OpenAPI document; status 1 if a check fails with any seed."""
    with (
        served(Path.cwd(), variables={"ECG_API_KEY": KEY}) as (address, _),
        tempfile.TemporaryDirectory() as folder,  # for the files that schemathesis writes
    ):
        program = str(Path(sys.executable).with_name("st"))
        command = [program, "run", f"{address}/openapi.json", "--checks", "all", "--max-examples", str(examples)]
        command += ["--header", f"Authorization: Bearer {KEY}", "--no-color"]
        (Path(folder) / "models").symlink_to(Path("models").resolve())
        paths = os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")])
        variables = os.environ | {HOOKS: "benchmarks.contract", "PYTHONPATH": paths}
        failed = []
        for seed in range(seeds):
            print(f"seed {seed}", flush=True)
            if subprocess.run([*command, "--seed", str(seed)], cwd=folder, env=variables, check=False).returncode:
                failed.append(seed)
    sys.exit(f"checks fail with the seeds {failed}" if failed else 0)


if __name__ == "__main__":
    typer.run(main)
