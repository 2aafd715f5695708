"""The chat server of the tests of judging."""

from tests.judging.conftest import server as server
