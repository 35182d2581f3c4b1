"""The one exception for what a user can mend."""


class InputError(Exception):
    """A file or argument that cannot be used: one line that names it and the cure. The CLI exits 2 on it."""
