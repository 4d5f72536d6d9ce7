"""The audit of licences: of what ships, and of packages made up for it."""

import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from benchmarks import licences
from ecg.exceptions import InputError
from tests.conftest import ROOT


def install(folder: Path, name: str, *lines: str) -> None:
    """Write the metadata of an installed package."""
    metadata = folder / f"{name}-1.0.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("\n".join(["Metadata-Version: 2.4", f"Name: {name}", "Version: 1.0", *lines]) + "\n")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_nothing_that_ships_needs_copyleft_and_what_does_comes_with_dvc() -> None:
    command = [sys.executable, "-m", "benchmarks.licences"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shipping, _, rest = done.stdout.partition("copyleft in the development environment")
    assert {line.partition(":")[0] for line in shipping.splitlines() if not line.startswith(" ")} == {
        "base",
        "[archive]",
        "[dashboard]",
        "[recordings]",
        "[s3]",
        "[service]",
        "[tables]",
        "[train]",
    }
    assert "fastapi" in shipping
    assert not {"dvc", "grandalf", "pygit2"} & set(shipping.replace(",", " ").split())
    assert "requirements.txt: dvc > grandalf: " in rest
    assert "requirements.txt: dvc > scmrepo > pygit2: " in rest


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("License-Expression: MIT", ""),
        ("License-Expression: GPL-3.0-only", "is under GPL-3.0-only"),
        ("License-Expression: AGPL-3.0-or-later", "is under AGPL-3.0-or-later"),
        ("License-Expression: LGPL-2.1-only", "is under LGPL-2.1-only"),
        ("License-Expression: MIT AND GPL-2.0-only", "is under MIT AND GPL-2.0-only"),
        ("License-Expression: Apache-2.0 OR GPL-2.0-or-later", ""),
        ("License-Expression: MPL-2.0 AND (Apache-2.0 OR MIT)", ""),
        ("License-Expression: MIT AND GPL-3.0-or-later WITH GCC-exception-3.1", ""),
        ("License: GPLv2 with linking exception", "is under GPLv2 with linking exception"),
        ("License: GNU Lesser General Public License", "is under GNU Lesser General Public License"),
        ("License: BSD", ""),
        ("Classifier: License :: OSI Approved :: GNU Affero General Public License v3", "is under GNU Affero "),
        ("Classifier: License :: OSI Approved :: MIT License", ""),
        ("Classifier: License :: OSI Approved", "declares no licence"),
        ("Summary: nothing is said", "declares no licence"),
        (f"License: {'the text of a licence ' * 9}", "declares no licence"),
    ],
)
def test_a_package_may_ship_unless_it_is_under_the_gpl_or_says_nothing(
    installed: Path, declared: str, expected: str
) -> None:
    install(installed, "madeup", declared)
    objection = licences.objection("madeup")
    assert objection.startswith(expected)
    assert bool(objection) == bool(expected)


def test_what_an_extra_of_a_requirement_brings_is_followed_and_the_shortest_path_is_named(installed: Path) -> None:
    install(installed, "top", "Requires-Dist: middle[more]", "Requires-Dist: plain")
    install(installed, "middle", "Requires-Dist: deep; extra == 'more'", "Requires-Dist: absent; extra == 'other'")
    install(installed, "plain", "Requires-Dist: middle", "Requires-Dist: absent; python_version < '3'")
    install(installed, "deep", "Requires-Dist: top")
    paths = licences.closure([Requirement("top")])
    assert paths["deep"] == ["top", "middle", "deep"]
    assert set(paths) == {"top", "middle", "plain", "deep"}


def test_a_package_that_is_not_installed_is_an_error_with_a_remedy(installed: Path) -> None:
    install(installed, "top", "Requires-Dist: absent-package")
    with pytest.raises(InputError, match=r"absent-package is not installed.*make install-dev"):
        licences.closure([Requirement("top")])
