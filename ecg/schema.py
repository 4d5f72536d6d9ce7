"""Records from outside, checked at the door: every key, type and range, with an error that names what is wrong."""

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ecg.exceptions import InputError


class Strict(BaseModel):
    """A record of which every field must be there: no unknown keys, no string where a number belongs."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


Rate = Annotated[float, Field(gt=0, lt=1)]  # a probability that is neither none nor all

T = TypeVar("T", bound=Strict)


def check(section: type[T], record: Any, where: str) -> T:
    """`record` as a `section`; InputError tells every wrong parameter in it. `where` is the place that it names."""
    try:
        return section.model_validate(record)
    except ValidationError as error:
        raise InputError("\n".join(_told(problem, where, section) for problem in error.errors())) from None


def _told(problem: Any, where: str, section: type[Strict]) -> str:
    name = ".".join(map(str, problem["loc"])) or "the whole file"
    if problem["type"] == "missing":
        return f"{where}: {name} is missing"
    if problem["type"] == "extra_forbidden":
        siblings = ", ".join(_siblings(section, problem["loc"]))
        return f"{where}: {name} is not a known parameter; accepted here: {siblings}"
    accepted = problem["msg"].replace("Input should", "it should")
    hint = "; YAML takes 1e-3 for text: write 0.001" if problem["type"] == "float_type" else ""
    return f"{where}: {name} is {problem['input']!r}: {accepted}{hint}"


def _siblings(section: type[Strict], location: tuple[Any, ...]) -> list[str]:
    for key in location[:-1]:
        section = section.model_fields[key].annotation  # type: ignore[assignment]
    return list(section.model_fields)
