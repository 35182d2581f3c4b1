"""The one exception for what a user can mend."""


class InputError(Exception):
    """A file or argument that cannot be used: one line that names it and the cure. The CLI exits 2 on it."""


def reason(error: BaseException, most: int = 120) -> str:
    """What a library says of a file, fit for a line: short, without breaks, never empty."""
    return " ".join(str(error).split())[:most] or type(error).__name__
