"""What a newcomer's first minutes are measured by."""

from pathlib import Path

import pytest

from benchmarks.newcomer import Newcomer, Step, downloaded, table, variables


def test_each_package_that_pip_fetched_or_took_from_this_disk_counts_once(tmp_path: Path) -> None:
    wheel = tmp_path / "torch-2.13.0+cpu-cp311-cp311-linux_x86_64.whl"
    wheel.write_bytes(bytes(2_000_000))
    log = f"""\
2026-01-02T10:00:00,000 Collecting dvc==3.67.1 (from -r requirements.txt (line 6))
2026-01-02T10:00:00,100   Downloading dvc-3.67.1-py3-none-any.whl (470 kB)
2026-01-02T10:00:00,200   Downloading onnxruntime-1.31.1-cp311-cp311-linux_x86_64.whl (23.8 MB)
2026-01-02T10:00:00,300     Downloading dvc-3.67.1-py3-none-any.whl (470 kB)
2026-01-02T10:00:00,400 Processing {wheel} (from -r requirements.txt (line 25))
2026-01-02T10:00:00,500   Processing {wheel}
2026-01-02T10:00:00,600 Processing ./. (from -r requirements.txt (line 5))
"""
    assert downloaded(log) == pytest.approx(0.47 + 23.8 + 2)


def test_a_newcomer_has_no_virtual_environment_and_no_settings_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIRTUAL_ENV", "/somewhere/.venv")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    monkeypatch.setenv("HTTPS_PROXY", "http://localhost:3128")
    found = variables(tmp_path)
    assert found["HOME"] == str(tmp_path)
    assert found["HTTPS_PROXY"] == "http://localhost:3128"
    assert not {"VIRTUAL_ENV", "PYTHONPATH"} & found.keys()
    assert not any((Path(folder).parent / "pyvenv.cfg").exists() for folder in found["PATH"].split(":"))


def test_a_step_that_fails_ends_the_measurement_with_what_it_printed(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"make repro failed:\n.*No rule to make target"):
        Newcomer(tmp_path).run("make", "repro")


def test_the_dashboard_counts_from_the_clone_and_the_report_from_its_own_start() -> None:
    steps = {
        "reproduce": {"clone": Step(1), "install": Step(60, 300, 1900)},
        "dashboard": {"dashboard": Step(40)},
        "report": {"install": Step(30)},
    }
    since = [row.split(" | ")[3] for row in table(steps).splitlines()[2:]]
    assert since == ["1.0", "61.0", "101.0", "30.0"]
