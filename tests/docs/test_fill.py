"""Whether README.md and the site say what the pipelines measured."""

import json
import re
from pathlib import Path

import pytest

from docs import fill, measure
from docs.figures import figure
from docs.reference import params as reference
from docs.tables import TABLES
from ecg import params
from ecg.exceptions import InputError
from tests.conftest import ROOT, Run

README = (ROOT / "README.md").read_text(encoding="utf-8")
LINK = re.compile(r"(?:\]\(|src=\")(?!https?://|#)([^)#\"]+)")


def test_every_page_is_up_to_date(clone: Path, run: Run) -> None:
    assert run(clone, "python", "-m", "docs.fill", "--check") == ""


def test_a_figure_that_changed_is_named_and_written(clone: Path, run: Run) -> None:
    path = clone / "metrics" / "evaluate.json"
    before = path.read_text()
    path.write_text(json.dumps(json.loads(before) | {"auc": 0.1234}))
    try:
        run(clone, "python", "-m", "docs.fill", "--check", fails=True)
        assert "README.md" in run(clone, "python", "-m", "docs.fill")
        assert "<!-- figure evaluate.auc:.4f -->0.1234<!-- end -->" in (clone / "README.md").read_text()
    finally:
        run(clone, "git", "restore", "README.md", "docs", "metrics/evaluate.json")


def test_what_stands_between_places_is_left_alone() -> None:
    text = "AUC <!-- figure evaluate.auc:.4f -->old<!-- end --> of <!-- a remark --> 4,500 beats"
    filled = fill.filled(text)
    assert filled == text.replace("old", figure("evaluate.auc:.4f"))
    assert fill.filled(filled) == filled


@pytest.mark.parametrize(
    "place",
    [
        "figure evaluate.nothing:.2f",
        "figure nowhere.auc:.2f",
        "figure evaluate.auc:zz",
        "table nothing",
        "output nothing",
    ],
)
def test_a_place_that_nothing_fills_is_named(place: str) -> None:
    with pytest.raises(InputError, match=place.split()[1]):
        fill.filled(f"<!-- {place} --><!-- end -->")


@pytest.mark.parametrize("name", TABLES)
def test_a_table_has_rows_of_equal_length(name: str) -> None:
    rows = TABLES[name]().splitlines()
    assert len(rows) > 3
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1


def test_every_parameter_is_explained() -> None:
    keys = params.flat(params.read(ROOT / "params.yaml"))
    explained = dict(re.findall(r"^\| `([\w.]+)` \| .* \| (.*) \|$", reference(), re.MULTILINE))
    assert set(explained) == {key for key in keys if not key.startswith("recording.")}
    assert [key for key, text in explained.items() if not text] == []


def test_what_a_command_printed_is_shown_below_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "MEASURED", tmp_path)
    (tmp_path / "day.txt").write_text("24 hours\n")
    (tmp_path / "r_peaks.txt").write_text("| a |\n| - |\n")
    assert measure.output("day") == "```sh\npython -m benchmarks.day\n```\n\n```text\n24 hours\n```"
    assert measure.output("r_peaks").endswith("```\n\n| a |\n| - |\n")


def test_no_figure_begins_a_line() -> None:
    """In Markdown, a comment at the start of a line makes the whole line HTML."""
    assert [
        page for page in fill.pages() if re.search(r"^<!-- figure", page.read_text(encoding="utf-8"), re.MULTILINE)
    ] == []


def test_readme_is_short_and_its_figures_are_generated() -> None:
    assert len(README.splitlines()) <= 250
    by_hand = fill.PLACE.sub("", README)
    assert re.findall(r"\d\.\d{3,}", by_hand) == []


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "data/README.md"])
def test_links_lead_somewhere(page: str) -> None:
    path = ROOT / page
    broken = [link for link in LINK.findall(path.read_text(encoding="utf-8")) if not (path.parent / link).exists()]
    assert broken == []
