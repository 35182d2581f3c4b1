"""What ends a command with exit code 1."""


class CheckError(RuntimeError):
    """A check failed: what was made or looked at is not what it should be. The message is one line."""
