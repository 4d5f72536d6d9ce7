"""The errors that are meant for the person, not for the programmer."""


class InputError(Exception):
    """Something from outside is wrong; the message says what, where, and what to do about it."""


class BeatError(InputError):
    """One of many beats is wrong.

    reason : what is wrong with it, a phrase that goes on from its name
    beat, sample : its place among the beats, and the place in it, or None if it is the whole beat; both from 0
    """

    def __init__(self, reason: str, beat: int, sample: int | None = None) -> None:
        super().__init__(f"beat {beat} {reason}" if sample is None else f"beat {beat}, sample {sample} {reason}")
        self.reason, self.beat, self.sample = reason, beat, sample

    def after(self, beats: int) -> "BeatError":
        """The same error where as many beats came before."""
        return BeatError(self.reason, self.beat + beats, self.sample)
