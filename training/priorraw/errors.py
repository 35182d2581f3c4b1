"""The one exception for what a user can mend."""

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class InputError(Exception):
    """A file or argument that cannot be used: one line that names it and the cure. The CLI exits 2 on it."""

    def __init__(self, line: str):
        """`line`: a control character in it, out of a damaged file, becomes a space."""
        super().__init__(_CONTROL.sub(" ", line))


def reason(error: BaseException, most: int = 120) -> str:
    """What a library says of a file, fit for a line: short, without breaks, never empty."""
    return " ".join(str(error).split())[:most] or type(error).__name__
