"""The API keys of the service: read from the environment or a file, checked before the service starts."""

import re
from collections.abc import Mapping
from pathlib import Path

from ecg.exceptions import InputError
from ecg.files import read_bytes

KEY, KEY_FILE = "ECG_API_KEY", "ECG_API_KEY_FILE"
MOST_BYTES = 2**16  # of a file of keys

_USABLE = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # what a bearer token may be: RFC 6750, section 2.1


def read_keys(environment: Mapping[str, str]) -> tuple[str, ...]:
    r"""The keys that requests may contain; none if neither variable is set.

    Several keys are accepted, so that one can be changed without a gap.

    Parameters
    ----------
    environment : `ECG_API_KEY` has keys with commas between them, `ECG_API_KEY_FILE` the path of a file with a key in
        each line

    Raises
    ------
    InputError
        if both are set, if a key is empty or cannot be sent as a bearer token, or if there is no such file. The
        message contains no key.

    Examples
    --------
    >>> read_keys({"ECG_API_KEY": "old,new\n"})
    ('old', 'new')
    >>> read_keys({})
    ()
    >>> read_keys({"ECG_API_KEY": ""})
    Traceback (most recent call last):
    ecg.exceptions.InputError: ECG_API_KEY, key 1 of 1 is empty; unset the variable for a service without a key
    """
    if KEY in environment and KEY_FILE in environment:
        raise InputError(f"{KEY} and {KEY_FILE} are both set; set one of them")
    if KEY in environment:
        return _checked(environment[KEY].removesuffix("\n").removesuffix("\r").split(","), KEY)
    if KEY_FILE not in environment:
        return ()
    path = Path(environment[KEY_FILE])
    try:
        content = read_bytes(path, f"{KEY_FILE} names it")
        if len(content) > MOST_BYTES:
            raise InputError(f"{path} is larger than {MOST_BYTES:,} bytes; it should have a key in each line")
        text = content.decode("ascii").replace("\r\n", "\n")
    except (OSError, ValueError) as error:  # a folder, or not text
        raise InputError(f"{path} does not hold keys in ASCII ({type(error).__name__}); {KEY_FILE} names it") from None
    return _checked(text.removesuffix("\n").split("\n"), str(path))


def _checked(keys: list[str], where: str) -> tuple[str, ...]:
    for number, key in enumerate(keys, start=1):
        problem = None
        if not key.strip():
            problem = f"is {'blank' if key else 'empty'}"
        elif not _USABLE.fullmatch(key):
            problem = "has a character that no key may have: use letters, digits and . _ ~ + / - ="
        if problem is not None:
            remedy = f"; unset {'the variable' if where == KEY else KEY_FILE} for a service without a key"
            raise InputError(f"{where}, key {number} of {len(keys)} {problem}{remedy if 'is ' in problem else ''}")
    return tuple(dict.fromkeys(keys))
