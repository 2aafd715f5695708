"""The errors that a user, a file or a server can cause: one line and exit code 1, never a traceback."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

LONGEST_LINE = 1_000  # characters


class UserError(Exception):
    """What went wrong, the value, whose limit, and what to change, in one line.

    What a file put into it can neither move the cursor of a terminal nor fill the screen.
    """

    def __init__(self, message: str) -> None:
        line = " ".join(message.split())
        if not line.isprintable():
            line = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)
        if len(line) > LONGEST_LINE:
            line = f"{line[: LONGEST_LINE // 2]} ... {line[-LONGEST_LINE // 2 :]}"
        super().__init__(line)


@contextmanager
def exit_on_error(program: str) -> Iterator[None]:
    """End the process with one line on stderr and exit code 1 on a UserError or an error of the file system."""
    try:
        yield
    except UserError as error:
        sys.exit(f"{program}: {error}")
    except FileNotFoundError as error:
        sys.exit(f"{program}: {error.filename} is missing; run `dvc repro` to make it, or correct its name.")
    except OSError as error:
        if error.filename is None and error.errno is None:
            raise
        what = f"{error.filename or 'an output'}: {error.strerror}"
        sys.exit(f"{program}: {what}; free space or fix the path and its permissions, then run again.")
