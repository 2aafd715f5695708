"""The benchmark of judging, against its artificial server."""

from benchmarks import judge
from benchmarks.side_by_side import run


def test_requests_at_once_wait_together():
    with judge.delayed_server(0.05) as base_url:
        alone, together = (run(judge.contestant("", base_url, "delay", 16, number)) for number in (1, 16))
    assert alone["judging"] > 16 * 0.05
    assert together["judging"] < alone["judging"] / 2
    assert together["per_second"] == 16 / together["judging"]
