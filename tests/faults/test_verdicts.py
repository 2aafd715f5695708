"""A judge that is killed, as the campaign does it, a few times."""

from pathlib import Path

from tests.faults import verdicts


def test_a_judge_killed_at_random_moments_loses_no_verdict_and_asks_for_none_twice(tmp_path: Path):
    result = verdicts.run(5, tmp_path, seed=0)
    assert (result.tried, result.lost, result.manual) == (5, 0, 0)
