"""The reference pages as Markdown: params.yaml from its schema, the command line from Typer, HTTP from OpenAPI."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import typer
import yaml
from typer.cli import get_docs_for_click

from docs import ROOT
from docs.tables import markdown
from ecg.cli.main import app
from ecg.params import ARCHITECTURES, Params, flat

KEY = re.compile(r"(?P<indent> *)(?P<key>\w+):(?: [^#]*?)?(?:\s*# (?P<comment>.*))?$")


def params() -> str:
    """Every key of params.yaml: its value there, what is accepted, which stages run again, what it is."""
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    values, stages = flat(yaml.safe_load(text)), _stages()
    sections: dict[str, list[list[str]]] = {}
    for name, comment in _comments(text):
        keys = name.split(".")
        if name in values and keys[0] != "recording":  # which has values of the other sections, for a recording
            section = ".".join(keys[:2]) if keys[0] == "models" else keys[0]
            row = [f"`{name}`", f"`{_shown(values[name])}`", _accepted(keys), comment]
            sections.setdefault(section, []).append(row)
    parts = []
    for section, rows in sections.items():
        readers = ", ".join(f"`{stage}`" for stage in stages[section.split(".")[0]])
        table = markdown(["key", "value in params.yaml", "accepted", "what it is"], rows)
        parts.append(f"## `{section}`\n\nStages that depend on it: {readers}.\n\n{table}\n")
    return "\n".join(parts)


def _shown(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("...\n").strip()


def _comments(text: str) -> Iterator[tuple[str, str]]:
    """The dotted name of each key and its comment: behind it, and in the lines right above it."""
    path: list[tuple[int, str]] = []
    above: list[str] = []
    for line in text.splitlines():
        if line.lstrip().startswith("#"):
            above.append(line.lstrip("# "))
            continue
        if found := KEY.match(line):
            indent = len(found["indent"])
            path = [*(part for part in path if part[0] < indent), (indent, found["key"])]
            yield ".".join(key for _, key in path), " ".join([*above, found["comment"] or ""]).strip()
        above = []


def _stages() -> Mapping[str, list[str]]:
    """Which stages of dvc.yaml depend on a section of params.yaml."""
    readers: dict[str, list[str]] = {}
    for name, stage in yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"].items():
        for section in dict.fromkeys(key.split(".")[0] for key in stage.get("params", [])):
            readers.setdefault(section, []).append(name)
    return readers


def _accepted(keys: list[str]) -> str:
    """What the schema accepts for a parameter, in words."""
    model = keys[0] == "models"
    schema: Any = (ARCHITECTURES[keys[1]] if model else Params).model_json_schema()
    definitions = schema.get("$defs", {})
    for key in keys[2:] if model else keys:
        schema = schema["properties"][key]
        if "$ref" in schema:
            schema = definitions[schema["$ref"].rsplit("/", 1)[1]]
    return _in_words(schema)


def _in_words(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_in_words(one) for one in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "pattern" in schema:
        return f"text, matching `{schema['pattern']}`"
    if schema.get("type") == "array":
        least, most = schema.get("minItems", 0), schema.get("maxItems")
        many = f"{least} " if least == most else f"at least {least} " if least else ""
        return f"list of {many}values, each: {_in_words(schema['items'])}"
    limits = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    found = [f"{words} {schema[name]}" for name, words in limits.items() if name in schema]
    kind = {"null": "`null`", "string": "text", "integer": "whole number", "number": "number"}[schema["type"]]
    return ", ".join([kind, *found])


def command_line() -> str:
    """Every command of `ecg`, as Typer documents it."""
    command = typer.main.get_command(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="ecg", indent=0)
    return text.split("\n", 2)[2].strip()  # the page has a title of its own


def http() -> str:
    """Every route of the service, as its OpenAPI document has it, in the order of the document."""
    from ecg.detector.detector import Detector
    from ecg.service.app import make_app

    document = make_app(Detector.load(ROOT / "models")).openapi()
    schemas = document["components"]["schemas"]
    parts: list[str] = []
    for path, item in document["paths"].items():
        for method, operation in item.items():
            parts += _route(f"{method.upper()} {path}", operation, schemas)
    return "\n\n".join(parts) + "\n"


def _route(title: str, operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[str]:
    yield f"## `{title}`"
    yield operation.get("description") or operation["summary"]
    if found := operation.get("parameters"):
        rows = [[f"`{one['name']}`", one["in"], _typed(one["schema"]), one.get("description", "")] for one in found]
        yield markdown(["parameter", "in", "accepted", "what it is"], rows)
    for kind, body in operation.get("requestBody", {}).get("content", {}).items():
        yield f"Body: `{kind}`."
        yield from _fields(body.get("schema", {}), schemas)
    rows = []
    for status, answer in operation["responses"].items():
        kinds = ", ".join(f"`{kind}`" for kind in answer.get("content", {}))
        rows.append([status, kinds or "-", answer["description"]])
    yield markdown(["status", "content", "when"], rows)
    for kind, content in operation["responses"].get("200", {}).get("content", {}).items():
        fields = list(_fields(content.get("schema", {}), schemas))
        if fields:
            yield f"Answer, `{kind}`:"
            yield from fields


def _fields(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[str]:
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rsplit("/", 1)[1]]
    if "properties" in schema:
        rows = [
            [f"`{name}`", _typed(field), field.get("description", "")] for name, field in schema["properties"].items()
        ]
        yield markdown(["field", "type", "what it is"], rows)
    elif schema.get("description"):
        yield schema["description"]


def _typed(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_typed(one) for one in schema["anyOf"])
    if "$ref" in schema:
        return f"`{schema['$ref'].rsplit('/', 1)[1]}`"
    if schema.get("type") == "array":
        return f"list of {_typed(schema.get('items', {}))}"
    return str(schema.get("type", "any value"))


REFERENCES: Mapping[str, Callable[[], str]] = {"params": params, "command-line": command_line, "http": http}
