"""An error of a user or of the file system is one line, and a fault of ours keeps its traceback."""

import errno

import pytest

from scratchlm.errors import LONGEST_LINE, UserError, exit_on_error


def test_a_message_over_several_lines_becomes_one():
    assert str(UserError("what,\n    the value,\n\n    what to change.")) == "what, the value, what to change."


def test_a_message_moves_no_cursor_and_fills_no_screen():
    assert str(UserError("\x1b[2J is no name")) == "\\x1b[2J is no name"
    assert len(str(UserError("x" * 100_000))) < LONGEST_LINE + 10


ERRORS = {
    "of a user": (UserError("what, and what to do."), "show: what, and what to do."),
    "a file that is not there": (
        FileNotFoundError(errno.ENOENT, "No such file", "data/x"),
        "show: data/x is missing; run `dvc repro` to make it, or correct its name.",
    ),
    "a folder that cannot be read": (
        PermissionError(errno.EACCES, "Permission denied", "data/x"),
        "show: data/x: Permission denied; free space or fix the path and its permissions, then run again.",
    ),
    "a write to something without a name": (
        OSError(errno.ENOSPC, "No space left on device"),
        "show: an output: No space left on device; free space or fix the path and its permissions, then run again.",
    ),
}


@pytest.mark.parametrize(("error", "line"), ERRORS.values(), ids=ERRORS)
def test_an_error_that_is_not_ours_ends_the_program_with_one_line(error: Exception, line: str):
    with pytest.raises(SystemExit) as end, exit_on_error("show"):
        raise error
    assert end.value.code == line


@pytest.mark.parametrize("error", [ZeroDivisionError(), OSError("of a library, without a number")], ids=repr)
def test_a_fault_of_ours_keeps_its_traceback(error: Exception):
    with pytest.raises(type(error)), exit_on_error("show"):
        raise error
