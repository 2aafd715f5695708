"""An error of a user is one line."""

from scratchlm.errors import UserError


def test_a_message_over_several_lines_becomes_one():
    assert str(UserError("what,\n    the value,\n\n    what to change.")) == "what, the value, what to change."
