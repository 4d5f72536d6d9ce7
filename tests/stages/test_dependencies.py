"""That DVC notices what decides an output: code, pinned versions, files of one's own."""

import re
from contextlib import chdir
from functools import cache
from pathlib import Path

import grimp
import numpy as np
import pytest
import yaml
from dvc.repo import Repo
from hypothesis import given
from hypothesis import strategies as st

from ecg import models
from ecg.data import sources
from ecg.exceptions import InputError
from ecg.params import Params
from stages import fetch
from tests.conftest import ROOT, STAGES, Run, ran, set_param

PIPELINES = [ROOT / "dvc.yaml", ROOT / "benchmarks" / "dvc.yaml", ROOT / "hearts" / "dvc.yaml"]
OURS = ("ecg", "stages", "hearts", "benchmarks")


def stages_of(pipeline: Path) -> dict[str, dict]:
    return yaml.safe_load(pipeline.read_text())["stages"]


@cache
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(*OURS, exclude_type_checking_imports=True, cache_dir=None)


def imported(module: str) -> set[str]:
    """The files of all modules that one imports, lazily or through others, with the packages that they are in."""
    found, waiting = set(), {module}
    while waiting:
        name = waiting.pop()
        found.add(name)
        named = graph().find_modules_directly_imported_by(name)
        if "ecg.models" in named:  # which imports by its name the architecture that is chosen
            named = named | {f"ecg.models.{architecture}" for architecture in models.names()}
        waiting |= (named | {name.rpartition(".")[0]}) - found - {""}
    paths = [Path(*name.split(".")) for name in found]
    return {str(path / "__init__.py" if (ROOT / path).is_dir() else path.with_suffix(".py")) for path in paths}


def lies_in(path: str, places: set[str]) -> bool:
    return not places.isdisjoint({path, *map(str, Path(path).parents)})


@pytest.mark.parametrize(
    ("pipeline", "stage"), [(pipeline, stage) for pipeline in PIPELINES for stage in stages_of(pipeline)]
)
def test_a_stage_depends_on_what_it_imports_and_on_nothing_else_of_ours(pipeline: Path, stage: str) -> None:
    definition = stages_of(pipeline)[stage]
    module = definition["cmd"].removeprefix("python -m ")
    needed, declared = imported(module), set(definition["deps"])
    assert {path for path in needed if not lies_in(path, declared)} == set()
    ours = {path for path in declared if path.split("/")[0] in OURS and Path(path).suffix in ("", ".py")}
    assert {place for place in ours if not any(lies_in(path, {place}) for path in needed)} == set()
    assert "requirements.txt" in declared


def changed(clone: Path) -> list[str]:
    """The stages whose dependencies are not what dvc.lock says."""
    with chdir(clone), Repo() as repo:
        return sorted(repo.status(targets=STAGES))


EDITS = {
    "ecg/cli/main.py": [],
    "ecg/dashboard/page.py": [],
    "ecg/hearts/model.py": [],
    "ecg/scanning/scan.py": [],
    "ecg/service/app.py": [],
    "ecg/evaluation/figures.py": ["evaluate"],
    "ecg/evaluation/drawing.py": ["evaluate"],
    "ecg/recordings/signals.py": ["fetch"],
    "ecg/training/fitting.py": ["preprocess", "train"],
    "ecg/models/dense.py": ["train"],
    "ecg/detector/calibration.py": ["calibrate", "evaluate"],
    "ecg/data/beats.py": sorted(STAGES),
    "requirements.txt": sorted(STAGES),  # an upgrade of torch or NumPy
}


def test_an_edit_runs_the_stages_that_it_concerns(clone: Path) -> None:
    found = {}
    for path in ("README.md", *EDITS):
        content = (clone / path).read_bytes()
        (clone / path).write_bytes(content + b"# changed\n")
        found[path] = changed(clone)
        (clone / path).write_bytes(content)
    assert found == {"README.md": [], **EDITS}


def use_own(clone: Path, folder: Path, **fetch: object) -> None:
    for name, value in ({"folder": str(folder), "dataset": "mine"} | fetch).items():
        set_param(clone, "fetch", name, value)


def test_one_changed_sample_of_a_recording_runs_fetch_again(
    clone: Path, run: Run, toy: np.ndarray, tmp_path: Path
) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    np.save(folder / "mine.npy", toy)
    committed = yaml.safe_load((clone / "params.yaml").read_text())["fetch"]["recording"]
    recording = committed | {"path": "mine.npy", "rate": 360.0, "minutes": 3.0}
    use_own(clone, folder, source="recording", recording=recording)
    printed = run(clone, "dvc", "repro", "fetch")
    assert ran(printed) == ["fetch"]
    (settings,) = [line for line in printed.splitlines() if "(params.yaml, recording.overrides)" in line]
    assert all(value in settings for value in ("preprocess.scaling none", "train.warp 0.0", "models.dense.latent 16"))
    assert "fetch" not in changed(clone)
    before = (clone / "data" / "raw" / "mine_TRAIN.tsv").read_bytes()
    np.save(folder / "mine.npy", np.where(np.arange(len(toy)) == 1000, toy + 0.5, toy))
    assert "fetch" in changed(clone)
    assert ran(run(clone, "dvc", "repro", "fetch")) == ["fetch"]
    assert (clone / "data" / "raw" / "mine_TRAIN.tsv").read_bytes() != before


def test_a_changed_archive_in_a_folder_of_ones_own_runs_fetch_again(clone: Path, run: Run, tmp_path: Path) -> None:
    for part in ("TRAIN", "TEST"):
        (tmp_path / f"mine_{part}.tsv").write_text("1\t0.5\t0.25\n2\t0.5\t-0.25\n")
    use_own(clone, tmp_path, sources=["."])
    assert ran(run(clone, "dvc", "repro", "fetch")) == ["fetch"]
    assert "fetch" not in changed(clone)
    (tmp_path / "mine_TRAIN.tsv").write_text("1\t0.5\t0.125\n2\t0.5\t-0.25\n")
    assert ran(run(clone, "dvc", "repro", "fetch")) == ["fetch"]
    assert "0.125" in (clone / "data" / "raw" / "mine_TRAIN.tsv").read_text()


@pytest.mark.parametrize("source", ["/elsewhere/mine", "../mine.zip", "here/../../mine"])
def test_a_file_that_dvc_would_not_watch_is_refused_with_the_remedy(
    committed: Params, source: str, tmp_path: Path
) -> None:
    place = (tmp_path / source).resolve().parent
    printed = re.escape(
        f"params.yaml: {source} is not in fetch.folder, {tmp_path}: DVC would not notice when it changes"
    )
    own = {"dataset": "mine", "folder": str(tmp_path)}
    recording = committed.fetch.recording.model_copy(update={"path": source})
    for bring, of in ((fetch.from_archive, {"sources": [source]}), (fetch.from_recording, {"recording": recording})):
        with pytest.raises(InputError, match=f"^{printed}; set fetch.folder to {place}$"):
            bring(committed.fetch.model_copy(update=own | of))


@given(st.lists(st.sampled_from(["..", "a", ".", "b.zip", "c d"]), min_size=1, max_size=6))
def test_what_is_taken_lies_in_the_folder_that_dvc_watches(parts: list[str]) -> None:
    folder = Path("/watched/folder")
    try:
        place = Path(sources.resolve("/".join(parts), folder))
    except InputError:
        assert not (folder / "/".join(parts)).resolve().is_relative_to(folder)
    else:
        assert place.resolve().is_relative_to(folder)
