"""The one error that is meant for the person, not for the programmer."""


class InputError(Exception):
    """Something from outside is wrong; the message says what, where, and what to do about it."""
