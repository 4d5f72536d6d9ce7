"""Validation of records from files: every key, type and range, with a message that names what is wrong."""

from reprlib import Repr
from typing import Annotated, Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ecg.exceptions import InputError


class Strict(BaseModel):
    """A record in which every field is required, unknown keys are refused and no value is converted to another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


Rate = Annotated[float, Field(gt=0, lt=1)]  # 0 and 1 are excluded

MOST = 20  # wrong parameters that one message lists
_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 200

T = TypeVar("T", bound=Strict)


def check(section: type[T], record: Any, where: str) -> T:
    """Validate a record.

    Parameters
    ----------
    section : the class that describes the record
    record : what was read
    where : the file or section that error messages name

    Raises
    ------
    InputError
        with a line for each wrong parameter: its name, its value and what is accepted.

    Examples
    --------
    >>> class Settings(Strict):
    ...     alpha: Rate
    >>> check(Settings, {"alpha": 2.0}, "params.yaml")
    Traceback (most recent call last):
    ecg.exceptions.InputError: params.yaml: alpha is 2.0: it should be less than 1
    """
    try:
        return section.model_validate(record)
    except ValidationError as error:
        messages = [_message(problem, where, section) for problem in error.errors()[:MOST]]
        more = [f"{where}: and {error.error_count() - MOST:,} more"] if error.error_count() > MOST else []
        raise InputError("\n".join(messages + more)) from None


def _message(problem: Any, where: str, section: type[Strict]) -> str:
    name = ".".join(str(part)[:100] for part in problem["loc"]) or "the whole file"
    if problem["type"] == "missing":
        return f"{where}: {name} is missing"
    if problem["type"] == "extra_forbidden":
        accepted = ", ".join(_accepted_names(section, problem["loc"]))
        return f"{where}: {name} is not a known parameter; accepted here: {accepted}"
    accepted = problem["msg"].replace("Input should", "it should")
    hint = "; YAML reads 1e-3 as text: write 0.001" if problem["type"] == "float_type" else ""
    return f"{where}: {name} is {_SHORT.repr(problem['input'])}: {accepted}{hint}"


def _accepted_names(section: type[Strict], location: tuple[Any, ...]) -> list[str]:
    for key in location[:-1]:
        kind: Any = section.model_fields[key].annotation if key in section.model_fields else section
        section = next((part for part in (kind, *get_args(kind)) if hasattr(part, "model_fields")), section)
    return list(section.model_fields)
