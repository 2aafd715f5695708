"""The conversion's benchmark runs from nothing, with and without the peer."""

from pathlib import Path

import pytest

from benchmarks import convert
from scratchlm.artifacts import write_json
from scratchlm.models.gpt_config import GPTConfig

CONFIG = GPTConfig(n_layer=2, n_head=2, n_embd=16, context_length=8, vocab_size=259)

# As much of the book's three modules as the benchmark calls.
GPT_DOWNLOAD = """
def load_gpt2_params_from_tf_ckpt(prefix, settings):
    return {"wte": [[0.0] * settings["n_embd"]] * settings["n_vocab"]}
"""
PREVIOUS_CHAPTERS = """
import torch

class GPTModel(torch.nn.Linear):
    def __init__(self, config):
        super().__init__(config["emb_dim"], config["vocab_size"])
"""
GPT_GENERATE = """
import torch

def load_weights_into_gpt(model, params):
    model.weight = torch.nn.Parameter(torch.tensor(params["wte"]))
"""


@pytest.fixture
def vocabulary(tmp_path: Path) -> Path:
    """258 entries and one merge, under OpenAI's names."""
    from tokenizers.pre_tokenizers import ByteLevel

    entries = [*sorted(ByteLevel.alphabet()), "ab", "ba", "<|endoftext|>"]
    write_json(tmp_path / "encoder.json", {entry: number for number, entry in enumerate(entries)})
    (tmp_path / "vocab.bpe").write_text("#version: 0.2\na b\nb a\n")
    return tmp_path


@pytest.fixture
def peer(tmp_path: Path) -> Path:
    """A stand-in for the book's checkout."""
    chapter = tmp_path / "peer/ch05/01_main-chapter-code"
    chapter.mkdir(parents=True)
    (chapter / "gpt_download.py").write_text(GPT_DOWNLOAD)
    (chapter / "previous_chapters.py").write_text(PREVIOUS_CHAPTERS)
    (chapter / "gpt_generate.py").write_text(GPT_GENERATE)
    return tmp_path / "peer"


def test_all_contestants_run_and_the_table_has_them(
    vocabulary: Path, peer: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(convert, "CONFIGS", {"124M": CONFIG})
    monkeypatch.chdir(peer)
    arguments = ["--rounds", "1", "--peer", str(peer), "--vocabulary", str(vocabulary)]
    monkeypatch.setattr("sys.argv", ["convert", *arguments])
    convert.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith("124M: 43,456 bytes of weights")
    rows = [line.split(" | ")[0].strip("| ") for line in lines if line.startswith("| ")][1:]
    assert rows == [convert.BOOK, convert.OURS, convert.LIMIT]
    assert "times the limit" in lines[-2]
    assert "Of the book's memory" in lines[-1]
    assert [path.name for path in peer.iterdir()] == ["ch05"]


def test_a_peer_that_memory_cannot_hold_is_left_out(peer: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    huge = CONFIG.model_copy(update={"vocab_size": 10**12})
    names = [each.name for each in convert.contestants(huge, "huge", peer, tmp_path)]
    assert names == [convert.OURS, convert.LIMIT]
    assert "does not run" in capsys.readouterr().err
