"""The page of `dvc plots show`, and what the project's own templates show.

Those of confusion matrices are computed as Vega-Lite does from rows of DVC's making, the others are drawn by Vega-Lite.
"""

import csv
import html
import re
from collections import Counter
from pathlib import Path
from typing import Any

import altair
import pytest
import vl_convert
import yaml
from dvc_render.vega import VegaRenderer

from tests.conftest import ROOT, metrics_in

PAGE = ROOT / ".dvc" / "plots" / "page.html"
DEFINED = yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"]
CHARTS = [name for plot in DEFINED if isinstance(plot, dict) for name in plot]
DIALECTS = {".csv": csv.excel, ".tsv": csv.excel_tab}
KINDS = ("normal", "anomalous")
# Many beats of one kind: shares of the actual kinds are far from those of the predicted ones.
BEATS = {
    "main": {
        ("normal", "normal"): 90,
        ("normal", "anomalous"): 10,
        ("anomalous", "anomalous"): 3,
        ("anomalous", "normal"): 1,
    },
    "narrow": {("normal", "normal"): 7, ("normal", "anomalous"): 1, ("anomalous", "anomalous"): 5},
}


def plot(name: str) -> dict[str, Any]:
    """How dvc.yaml defines a plot."""
    return next(plot[name] for plot in DEFINED if isinstance(plot, dict) and name in plot)


def shown(name: str) -> dict[str, Any]:
    """What `dvc plots show` would put on its page, of two revisions."""
    rows = [
        {"rev": rev, "actual": actual, "predicted": predicted}
        for rev, counts in BEATS.items()
        for (actual, predicted), number in counts.items()
        for _ in range(number)
    ]
    of = plot(name)
    properties = of | {"y": of["y"]["plots/confusion.csv"], "template_dir": str(ROOT / ".dvc" / "plots")}
    return VegaRenderer(rows, name, **properties).get_filled_template()


def aggregated(rows: list[dict[str, Any]], step: dict[str, Any]) -> list[dict[str, Any]]:
    assert [column["op"] for column in step["aggregate"]] == ["count"]
    numbers = Counter(tuple((field, row[field]) for field in step["groupby"]) for row in rows)
    return [dict(group) | {step["aggregate"][0]["as"]: number} for group, number in numbers.items()]


def imputed(rows: list[dict[str, Any]], step: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows, and for each group one more of each value of the key that it lacks."""
    groups = {tuple((field, row[field]) for field in step["groupby"]) for row in rows}
    present = {(tuple((field, row[field]) for field in step["groupby"]), row[step["key"]]) for row in rows}
    missing = [
        (group, key) for group in groups for key in {row[step["key"]] for row in rows} if (group, key) not in present
    ]
    return rows + [dict(group) | {step["key"]: key, step["impute"]: step["value"]} for group, key in missing]


def joined(rows: list[dict[str, Any]], step: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows, each with what its group comes to."""
    by = step.get("groupby", [])
    for column in step["joinaggregate"]:
        of = {"sum": sum, "max": max}[column["op"]]
        rows = [
            row | {column["as"]: of(other[column["field"]] for other in rows if all(other[f] == row[f] for f in by))}
            for row in rows
        ]
    return rows


def calculated(rows: list[dict[str, Any]], step: dict[str, Any]) -> list[dict[str, Any]]:
    over, under = re.fullmatch(r"datum\.(\w+) / datum\.(\w+)", step["calculate"]).groups()
    return [row | {step["as"]: row[over] / row[under]} for row in rows]


def transformed(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows that the marks are drawn of."""
    steps = {"aggregate": aggregated, "impute": imputed, "joinaggregate": joined, "calculate": calculated}
    rows = spec["data"]["values"]
    for step in spec["transform"]:
        (work,) = [work for name, work in steps.items() if name in step]
        rows = work(rows, step)
    return rows


def cells(spec: dict[str, Any], encoding: str) -> dict[tuple[str, str, str], float]:
    """What an encoding of a mark makes visible, by revision, and by what beats are and were called."""
    (channel,) = [
        layer["encoding"][encoding] for layer in spec["spec"]["layer"] if "field" in layer["encoding"].get(encoding, {})
    ]
    axes = [spec["facet"]["field"], *(spec["spec"]["encoding"][axis]["field"] for axis in ("x", "y"))]
    assert axes == ["rev", "actual", "predicted"]
    rows = transformed(spec)
    found = {tuple(row[axis] for axis in axes): row[channel["field"]] for row in rows}
    assert len(found) == len(rows)
    return found


@pytest.mark.parametrize("encoding", ["text", "color"])
def test_each_cell_shows_its_number_of_beats(encoding: str) -> None:
    assert cells(shown("Confusion, counts"), encoding) == {
        (rev, actual, predicted): counts.get((actual, predicted), 0)
        for rev, counts in BEATS.items()
        for actual in KINDS
        for predicted in KINDS
    }


@pytest.mark.parametrize("encoding", ["text", "color"])
def test_each_cell_shows_its_share_of_the_beats_that_are_of_its_kind(encoding: str) -> None:
    assert cells(shown("Confusion, normalised"), encoding) == pytest.approx(
        {
            ("main", "normal", "normal"): 0.9,
            ("main", "normal", "anomalous"): 0.1,
            ("main", "anomalous", "normal"): 0.25,
            ("main", "anomalous", "anomalous"): 0.75,
            ("narrow", "normal", "normal"): 0.875,
            ("narrow", "normal", "anomalous"): 0.125,
            ("narrow", "anomalous", "normal"): 0,
            ("narrow", "anomalous", "anomalous"): 1,
        }
    )


@pytest.mark.parametrize(("name", "form"), [("Confusion, counts", ",d"), ("Confusion, normalised", ".1%")])
def test_numbers_are_written_over_cells_that_are_coloured_alike_in_all_revisions(name: str, form: str) -> None:
    spec = shown(name)
    marks = [layer["mark"]["type"] for layer in spec["spec"]["layer"]]
    assert marks == ["rect", "text"]  # the text on top
    colour, text = spec["spec"]["layer"][0]["encoding"]["color"], spec["spec"]["layer"][1]["encoding"]
    assert text["text"]["field"] == colour["field"]
    assert text["text"]["format"] == form
    assert colour["scale"] in ({"scheme": "blues", "domain": [0, 1]}, {"scheme": "blues", "domainMin": 0})
    assert "resolve" not in spec  # one scale for all
    assert spec["spec"]["encoding"]["x"]["sort"] == spec["spec"]["encoding"]["y"]["sort"] == list(KINDS)


@pytest.mark.parametrize("name", ["Confusion, counts", "Confusion, normalised"])
def test_writing_is_white_on_what_is_dark(name: str) -> None:
    spec = shown(name)
    encoding = spec["spec"]["layer"][1]["encoding"]
    assert (encoding["color"]["value"], encoding["color"]["condition"]["value"]) == ("black", "white")
    field, other, part = re.fullmatch(
        r"datum\.(\w+) > (?:datum\.(\w+) / )?([\d.]+)", encoding["color"]["condition"]["test"]
    ).groups()
    assert field == encoding["text"]["field"]
    rows = transformed(spec)
    white = {row[field] for row in rows if row[field] > (row[other] / float(part) if other else float(part))}
    assert white == {row[field] for row in rows if row[field] > max(row[field] for row in rows) / 2}


def of_files(name: str, *revisions: str) -> dict[str, Any]:
    """What `dvc plots diff` would put on its page, of the committed files as each of the revisions."""
    defined = plot(name)
    rows = [
        row | {"rev": revision, "field": field}
        for revision in revisions
        for path, field in defined["y"].items()
        for row in csv.DictReader((ROOT / path).read_text().splitlines(), dialect=DIALECTS[Path(path).suffix])
    ]
    y = next(iter(defined["y"].values()))
    if len(defined["y"]) > 1:
        y = "dvc_inferred_y_value"  # DVC's name, as it does this
        rows = [row | {y: row[row["field"]]} for row in rows]
    properties = defined | {"y": y, "template_dir": str(ROOT / ".dvc" / "plots")}
    return VegaRenderer(rows, name, **properties).get_filled_template()


def written(name: str, *revisions: str) -> list[str]:
    """The texts in a chart."""
    drawn = vl_convert.vegalite_to_svg(of_files(name, *revisions))
    return [html.unescape(text) for text in re.findall(r"<text[^>]*>([^<]*)</text>", drawn)]


@pytest.mark.parametrize("name", CHARTS)
def test_a_template_is_vega_lite(name: str) -> None:
    spec = of_files(name, "main", "narrow")
    del spec["$schema"]  # altair has its own version's
    spec["data"]["values"] = spec["data"]["values"][:5]  # it looks at each value
    assert altair.Chart.from_dict(spec).to_dict()["encoding" if name == "Loss" else "facet"]
    assert "<DVC" not in str(spec)


@pytest.mark.parametrize(
    ("name", "area", "metric"), [("ROC", "AUC", "auc"), ("Precision-recall", "average precision", "average_precision")]
)
def test_a_curve_has_its_area_beside_it_and_names_the_threshold(name: str, area: str, metric: str) -> None:
    metrics = metrics_in(ROOT, "evaluate")
    threshold, legend = f"threshold {metrics['threshold']:.3g}", f", {area} {metrics[metric]:.4f}"
    texts = written(name, "main")
    assert texts.count(threshold) == 2  # on the whole curve and in the corner
    assert f"main{legend}" in texts
    texts = written(name, "main", "narrow")
    assert threshold not in texts  # one would hide the other
    assert {f"main{legend}", f"narrow{legend}"} <= set(texts)


def test_the_threshold_among_the_scores_is_labelled_for_each_revision() -> None:
    threshold = f"threshold {metrics_in(ROOT, 'evaluate')['threshold']:.3g}"
    assert written("Scores", "main", "narrow").count(threshold) == 2


def test_the_error_in_training_is_of_fitted_and_of_held_out_beats() -> None:
    assert {"main", "narrow", "fitted beats", "held-out beats"} <= set(written("Loss", "main", "narrow"))


def test_every_plot_has_a_caption_of_one_sentence_and_every_caption_a_plot() -> None:
    found = re.findall(
        r'<figure data-plot="(.+)">(?:<h3>.+</h3>)?<figcaption>([^<]+)</figcaption></figure>', PAGE.read_text()
    )
    assert sorted(name for name, _ in found) == sorted([*CHARTS, *(plot for plot in DEFINED if isinstance(plot, str))])
    for _, caption in found:
        assert re.fullmatch(r"[A-Z][^.]{20,250}\.", " ".join(caption.split()))


def test_dvc_takes_the_page_for_its_own() -> None:
    """DVC looks for the file in .dvc, and without it fails at a word of its name."""
    assert "html_template = plots/page.html" in (ROOT / ".dvc" / "config").read_text()
    page = PAGE.read_text()
    assert [page.count(place) for place in ("{plot_divs}", "{scripts}", "{refresh_tag}")] == [1, 1, 1]
    assert "https://" not in page
