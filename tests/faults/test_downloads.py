"""Downloads from a hostile server, once each of what `python -m tests.faults.campaign downloads` tries."""

from pathlib import Path

from tests.faults.downloads import FAULTS, run


def test_a_download_ends_with_the_whole_file_or_with_nothing(tmp_path: Path):
    results = list(run(2, tmp_path, seed=1))
    assert len(results) == len(FAULTS)
    assert [result for result in results if result.failed] == []
