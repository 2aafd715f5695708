"""The error that a user, a file or a server can cause; shown as one line, never as a traceback."""


class UserError(Exception):
    """What went wrong, the value, whose limit, and what to change, in one line."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))
