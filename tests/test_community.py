"""What contributors read, and what runs on their pull requests, is what is there."""

import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT

FOLDERS = (ROOT / ".github", ROOT / ".github" / "workflows", ROOT / ".github" / "ISSUE_TEMPLATE")
YAML = [*(path for folder in FOLDERS for path in folder.glob("*.yml")), ROOT / ".pre-commit-config.yaml"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TEXTS = [
    *(ROOT / name for name in ("CONTRIBUTING.md", "CODE_OF_CONDUCT.md", "CHANGELOG.md", "SECURITY.md")),
    ROOT / ".github" / "pull_request_template.md",
]
MADE = ("dvc_plots", "data/raw", "data/processed", "models", ".dvc/config.local", "dist")  # not in git
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def version() -> str:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def commands(text: str) -> set[str]:
    """The targets of `make` in code: between backticks, or at the start of a line of a code block."""
    code = [*re.findall(r"`([^`\n]+)`", text), *re.findall(r"^ *(.*)$", text, re.MULTILINE)]
    return {match[1] for line in code if (match := re.match(r"(?:\w+=\S+ )?make ([a-z-]+)", line))}


@pytest.mark.parametrize("path", YAML, ids=name)
def test_each_file_for_the_hosting_site_is_yaml_with_a_content(path: Path) -> None:
    assert isinstance(yaml.safe_load(path.read_text()), dict)


def test_the_container_forwards_the_ports_of_the_service_and_the_dashboard() -> None:
    record = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    assert record["forwardPorts"] == [8000, 8501]
    assert commands(f"`{record['postCreateCommand']}`") <= TARGETS


@pytest.mark.parametrize("path", WORKFLOWS, ids=name)
def test_a_workflow_runs_commands_of_this_repository_with_few_rights(path: Path) -> None:
    record = yaml.safe_load(path.read_text())
    assert record["permissions"] == {"contents": "read"}
    jobs = record["jobs"].values()
    ran = [step["run"] for job in jobs for step in job["steps"] if "run" in step]
    scripts = {word for command in ran for word in command.split() if word.startswith(".ci/")}
    assert scripts
    assert all((ROOT / script).is_file() for script in scripts)
    assert {target for command in ran for target in commands(f"`{command}`")} <= TARGETS
    assert all(job["timeout-minutes"] <= 90 for job in jobs)


def test_ci_runs_what_contributors_run() -> None:
    record = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    assert ".ci/run" in [step.get("run") for step in record["jobs"]["check"]["steps"]]


def test_a_job_that_may_write_runs_no_code_of_a_pull_request() -> None:
    record = yaml.safe_load((ROOT / ".github" / "workflows" / "report.yml").read_text())
    writing = {name: job for name, job in record["jobs"].items() if "write" in job.get("permissions", {}).values()}
    assert list(writing) == ["comment"]
    (checkout,) = [step for step in writing["comment"]["steps"] if step.get("uses", "").startswith("actions/checkout")]
    assert "base.sha" in checkout["with"]["ref"]
    assert [step["run"].split()[0] for step in writing["comment"]["steps"] if "run" in step] == ["cml"]


def test_the_hooks_run_each_tool_of_make_lint() -> None:
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    tools = {line.split()[0] for line in recipe.splitlines() if not line.startswith("\t@")}
    record = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = {Path(hook["entry"].split()[0]).name for repository in record["repos"] for hook in repository["hooks"]}
    assert tools <= hooks


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_each_target_of_make_that_contributors_read_of_is_there(path: Path) -> None:
    assert commands(path.read_text()) <= TARGETS


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_each_file_that_contributors_read_of_is_there(path: Path) -> None:
    named = re.findall(r"`([\w./-]+(?:/|\.(?:md|py|yml|yaml|toml|cff|json|lock|txt)))`", path.read_text())
    missing = [file for file in named if not (ROOT / file).exists() and not file.startswith(MADE)]
    assert not missing


@pytest.mark.parametrize("text", ["CONTRIBUTING.md", "SECURITY.md"])
def test_each_benchmark_that_contributors_read_of_is_there(text: str) -> None:
    modules = re.findall(r"python -m (benchmarks(?:\.\w+)+)", (ROOT / text).read_text())
    assert modules
    paths = [ROOT / module.replace(".", "/") for module in modules]
    assert all(path.is_dir() or path.with_suffix(".py").is_file() for path in paths)


def test_the_version_is_the_same_wherever_it_is_stated() -> None:
    record = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert record["version"] == version()
    dates = dict(
        re.findall(r"^## \[([\d.]+)\] - (\d{4}-\d\d-\d\d)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    )
    assert dates[version()] == record["date-released"]
