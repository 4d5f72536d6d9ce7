"""Tables of beats to parts of the same names: the verdicts, what is done again, and what cannot be read."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecg.archive import beats as scoring
from ecg.archive.archive import Outcome, measured, plan, run
from ecg.archive.manifest import MANIFEST
from ecg.data.beats import Beats
from ecg.detector.detector import Detector
from ecg.exceptions import InputError
from tests.archive.conftest import held

PARTS = ["more/two", "one", "three/000000000000", "three/000000000500"]


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "verdicts"


@pytest.fixture
def copied(tables: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tables, tmp_path / "tables", copy_function=shutil.copy2))


def score(tables: Path, output: Path, models: Path, **options: float) -> Outcome:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "PART", 400)
        job, inputs = scoring.archive([str(tables)], str(output), models, **options)
    return run(job, plan(job, inputs))


def test_each_table_becomes_a_part_of_its_name_with_the_verdicts_of_the_detector(
    tables: Path, output: Path, shipped: Path, detector: Detector, test: Beats
) -> None:
    outcome = score(tables, output, shipped)
    assert [done.name for done in outcome.done] == PARTS
    expected = detector.score(test.samples[:1800])
    for name, rows in zip(PARTS, (slice(700, 800), slice(0, 700), slice(800, 1300), slice(1300, 1800)), strict=True):
        part = pd.read_parquet(output / f"{name}.parquet")
        np.testing.assert_array_equal(part["score"].to_numpy(np.float32), expected.score[rows])
        np.testing.assert_array_equal(part["anomalous"], expected.anomalous[rows])
    assert part["beat"].iloc[0] == 500  # of the array
    assert outcome.totals == {"parts": 4, "beats": 1800, "alarms": int(expected.anomalous.sum())}
    assert len(pd.read_parquet(output)) == 1800  # the folder as one table


def test_a_second_run_does_what_is_new_or_changed_and_leaves_the_rest(
    copied: Path, output: Path, shipped: Path, test: Beats
) -> None:
    first = score(copied, output, shipped)
    assert first.before == 0
    before = {path: path.stat().st_mtime_ns for path in output.rglob("*.parquet")}
    assert score(copied, output, shipped).before == 4
    np.save(copied / "one.npy", test.samples[:10])
    np.save(copied / "four.npy", test.samples[:10])
    outcome = score(copied, output, shipped)
    assert (outcome.before, outcome.totals["beats"]) == (3, 1120)
    changed = {
        str(path.relative_to(output))
        for path in output.rglob("*.parquet")
        if before.get(path) != path.stat().st_mtime_ns
    }
    assert changed == {"one.parquet", "four.parquet"}


def test_a_file_that_was_only_touched_is_not_scored_again(copied: Path, output: Path, shipped: Path) -> None:
    score(copied, output, shipped)
    part = (output / "one.parquet").stat().st_mtime_ns
    (copied / "one.npy").touch()
    assert score(copied, output, shipped).before == 3
    assert (output / "one.parquet").stat().st_mtime_ns == part
    assert score(copied, output, shipped).before == 4  # it is known by its new time


def test_another_model_or_alpha_does_all_again(copied: Path, output: Path, shipped: Path) -> None:
    assert score(copied, output, shipped).before == 0
    at_calibrated = held(output)
    assert score(copied, output, shipped, alpha=0.2).before == 0
    calibration = json.loads((shipped / "calibration.json").read_text())
    (shipped / "calibration.json").write_text(json.dumps(calibration | {"alpha": 0.2}))
    assert score(copied, output, shipped).before == 0
    (shipped / "calibration.json").write_text(json.dumps(calibration))
    assert score(copied, output, shipped).before == 0
    assert {name: at for name, at in held(output).items() if ".parquet" in name} == {
        name: at for name, at in at_calibrated.items() if ".parquet" in name
    }


def test_a_part_that_was_removed_is_made_again(copied: Path, output: Path, shipped: Path) -> None:
    score(copied, output, shipped)
    before = held(output)
    (output / "one.parquet").unlink()
    assert score(copied, output, shipped).before == 3
    assert held(output) == before


def test_a_damaged_record_of_what_is_done_counts_as_none(copied: Path, output: Path, shipped: Path) -> None:
    score(copied, output, shipped)
    before = held(output)
    for damage in (b"", b"{}", b"null", (output / "_done/one.json").read_bytes()[:-20], b"\xff"):
        (output / "_done/one.json").write_bytes(damage)
        assert score(copied, output, shipped).before == 3
        assert held(output) == before


def test_a_table_that_cannot_be_read_is_listed_with_its_reason_and_the_others_are_done(
    copied: Path, output: Path, shipped: Path
) -> None:
    score(copied, output, shipped)
    others = held(output)
    (copied / "one.npy").write_bytes((copied / "one.npy").read_bytes()[:-1])
    (copied / "three.zarr" / "zarr.json").write_text('{"node_type": "array"}')
    outcome = score(copied, output, shipped)
    assert [done.name for done in outcome.failures] == ["one", "three"]
    assert not list(output.glob("three/*"))
    failures = json.loads((output / MANIFEST).read_text())["failures"]
    assert failures[str(copied / "one.npy")] == f"{copied / 'one.npy'} ends after 699 of 700 beats"
    assert "zarr.json" in failures[str(copied / "three.zarr")]
    assert not (output / "one.parquet").exists()  # the earlier one is of another content
    assert held(output)["more/two.parquet"] == others["more/two.parquet"]


def test_what_cannot_be_opened_now_is_tried_again_in_the_next_run(
    copied: Path, output: Path, shipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ecg.archive import archive

    digest = archive._digest

    def refuse(one: object, files: list[Path]) -> str:
        if files and files[0].name == "one.npy":
            raise PermissionError(13, "Permission denied", str(files[0]))
        return digest(one, files)

    monkeypatch.setattr(archive, "_digest", refuse)
    outcome = score(copied, output, shipped)
    assert [done.reason for done in outcome.failures] == ["it cannot be read: Permission denied"]
    monkeypatch.undo()
    assert score(copied, output, shipped).failures == []


def test_a_full_disk_ends_the_run_and_nothing_looks_finished(
    copied: Path, output: Path, shipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = scoring.score_table

    def fill(detector: Detector, table: object, file: object, *rest: object) -> object:
        if "one.npy" in table.name:
            raise OSError(28, "No space left on device")
        return write(detector, table, file, *rest)

    monkeypatch.setattr(scoring, "score_table", fill)
    with pytest.raises(OSError, match="No space left on device"):
        score(copied, output, shipped)
    assert not (output / MANIFEST).exists()
    assert set(held(output)) == {"more/two.parquet", "_done/more/two.json"}
    monkeypatch.undo()
    assert score(copied, output, shipped).before == 1


def test_a_run_that_goes_on_is_not_finished_until_its_end(
    copied: Path, output: Path, shipped: Path, test: Beats
) -> None:
    score(copied, output, shipped)
    np.save(copied / "new.npy", test.samples[:10])
    job, inputs = scoring.archive([str(copied)], str(output), shipped)
    was_there = []
    run(job, plan(job, inputs), on_done=lambda _done: was_there.append((output / MANIFEST).exists()))
    assert was_there
    assert not any(was_there)
    assert (output / MANIFEST).exists()


def test_a_folder_with_other_files_or_results_of_other_inputs_is_left_alone(
    copied: Path, output: Path, shipped: Path
) -> None:
    output.mkdir()
    (output / "letter.txt").write_text("Dear")
    with pytest.raises(InputError, match=r"has other files, such as 'letter.txt'"):
        score(copied, output, shipped)
    (output / "letter.txt").unlink()
    score(copied, output, shipped)
    with pytest.raises(InputError, match=r"has results of 3 other inputs, such as .*one.npy"):
        score(copied / "more", output, shipped)
    with pytest.raises(InputError, match="is a file: name a folder"):
        score(copied, copied / "one.npy", shipped)


def test_a_plan_counts_what_there_is_to_do_and_measures_one_without_a_trace(
    copied: Path, output: Path, shipped: Path
) -> None:
    job, inputs = scoring.archive([str(copied)], str(output), shipped)
    planned = plan(job, inputs)
    assert (len(planned.tasks), planned.done, planned.size) == (3, [], sum(one.size for one in inputs))
    one, seconds = measured(job, planned)
    assert one in inputs
    assert seconds > 0
    assert not output.exists()


def test_a_model_that_cannot_be_used_is_told_before_anything_is_read(tables: Path, output: Path, shipped: Path) -> None:
    with pytest.raises(InputError, match="alpha is 1e-09"):
        score(tables, output, shipped, alpha=1e-9)
    (shipped / "autoencoder.onnx").write_bytes(b"")
    with pytest.raises(InputError, match="belongs to another model"):
        score(tables, output, shipped)
