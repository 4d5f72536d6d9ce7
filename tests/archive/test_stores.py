"""Archives in an object store: read from there, written to there, with what the environment says alone."""

from pathlib import Path

import fsspec
import numpy as np
import pytest

from ecg.archive import beats as scoring
from ecg.archive import places
from ecg.archive.archive import Outcome, plan, run
from ecg.archive.manifest import MANIFEST
from ecg.exceptions import InputError
from tests.archive.conftest import held, scan_all


@pytest.fixture(scope="module")
def stored(s3: str, recordings: Path, tables: Path) -> str:
    """The archives of recordings and of tables, in a store."""
    for folder, name in ((recordings, "recordings"), (tables, "tables")):
        for path in folder.rglob("*"):
            if path.is_file():
                places.write(f"{s3}/{name}/{path.relative_to(folder)}", path.read_bytes())
    return s3


def fetched(place: str, folder: Path) -> Path:
    store, path = fsspec.url_to_fs(place)
    store.get(path, str(folder), recursive=True)
    return folder


def score(tables: str, output: str, models: Path) -> Outcome:
    job, inputs = scoring.archive([tables], output, models)
    return run(job, plan(job, inputs))


def test_tables_in_a_store_have_the_verdicts_of_those_here(
    stored: str, tables: Path, shipped: Path, tmp_path: Path
) -> None:
    here = score(str(tables), str(tmp_path / "here"), shipped)
    there = score(f"{stored}/tables", f"{stored}/verdicts", shipped)
    assert there.totals == here.totals
    got = held(fetched(f"{stored}/verdicts", tmp_path / "there"))
    assert {name: at for name, at in got.items() if name.endswith(".parquet")} == {
        name: at for name, at in held(tmp_path / "here").items() if name.endswith(".parquet")
    }
    assert score(f"{stored}/tables", f"{stored}/verdicts", shipped).before == 3
    assert score(f"{stored}/tables/*.npy", f"{stored}/one", shipped).totals["parts"] == 1


def test_recordings_in_a_store_have_the_alarms_of_those_here(stored: str, recordings: Path, tmp_path: Path) -> None:
    here = scan_all([str(recordings)], tmp_path / "here", reports=1)
    there = scan_all([f"{stored}/recordings"], f"{stored}/results", reports=1)
    assert there.totals == here.totals
    reasons = [[str(done.reason).replace(done.source, "") for done in outcome.failures] for outcome in (here, there)]
    assert reasons[0] == reasons[1]  # nothing of the copy's name
    got = held(fetched(f"{stored}/results", tmp_path / "there"))
    tables = [name for name in held(tmp_path / "here") if name.startswith(("alarms", "episodes"))]
    assert tables
    assert {name: got[name] for name in tables} == {name: held(tmp_path / "here")[name] for name in tables}
    assert [name for name in got if name.startswith("reports/") and name.endswith(".html")]
    assert scan_all([f"{stored}/recordings"], f"{stored}/results", reports=1).before == 4


def test_a_changed_object_is_done_again_and_what_was_made_of_it_before_is_gone(
    stored: str, test: object, shipped: Path
) -> None:
    import io

    content = io.BytesIO()
    np.save(content, test.samples[:50])
    places.write(f"{stored}/changing/beats.npy", content.getvalue())
    assert score(f"{stored}/changing", f"{stored}/changed", shipped).totals["beats"] == 50
    places.write(f"{stored}/changing/beats.npy", content.getvalue()[:-1])
    assert score(f"{stored}/changing", f"{stored}/changed", shipped).totals["beats"] == 0
    assert places.names(f"{stored}/changed") == ["_done", MANIFEST]


def test_a_write_that_fails_leaves_no_object(stored: str) -> None:
    def fail(place: str) -> None:
        with places.writing(place) as file:
            file.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail(f"{stored}/half")
    assert places.file(f"{stored}/half") is None


def test_without_credentials_or_a_bucket_the_store_is_told(
    stored: str, shipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="s3://no-such-bucket/verdicts"):
        score(f"{stored}/tables/one.npy", "s3://no-such-bucket/verdicts", shipped)
    with pytest.raises(InputError, match="names no tables of beats"):
        score(f"{stored}/nothing", f"{stored}/verdicts", shipped)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    with pytest.raises(InputError, match=r"(?i)s3://.*credentials"):
        score(f"{stored}/tables", f"{stored}/verdicts", shipped)
    monkeypatch.undo()
    fsspec.get_filesystem_class("s3").clear_instance_cache()


def test_a_store_whose_package_is_missing_names_the_extra() -> None:
    with pytest.raises(InputError, match="gs:// needs gcsfs, which is not installed: pip install gcsfs"):
        places.found("gs://bucket/beats")
