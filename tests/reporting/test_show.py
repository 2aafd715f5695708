"""A look at each kind of data folder: its counts, samples that stand in it, and their source."""

from pathlib import Path

import pytest

from scratchlm.artifacts import read_json, write_csv, write_jsonl
from scratchlm.checksums import write_manifest
from scratchlm.datasets.shards import TokenShards
from scratchlm.errors import UserError
from scratchlm.models.gpt import GPT
from scratchlm.models.storage import load_gpt
from scratchlm.reporting.show import show_folder
from tests.corpora import write_byte_tokenizer, write_corpus, write_shards
from tests.records import edit_sealed
from tests.tiny_model import save_tiny_model


def text_of(directory: Path, samples: int = 3) -> str:
    return "\n".join(show_folder(directory, samples))


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    tokenizer = write_byte_tokenizer(tmp_path / "tokenizer")
    documents = {"train": [f"document {number}\n" for number in range(40)], "val": ["the only one"]}
    return write_shards(tmp_path / "tokens", tokenizer, documents, shard_tokens=100)


def test_tokens_are_counted_and_whole_documents_decoded(tokens: Path):
    lines = list(show_folder(tokens, 3))
    manifest = TokenShards(tokens).manifest
    assert lines[0] == "token shards: 257 entries, uint16"
    assert f"train: 40 documents, {manifest['splits']['train']['tokens']} tokens" in lines[1]
    assert sum(line.startswith("  train-") for line in lines) == len(manifest["shards"]) - 1
    assert lines[-2:] == ["document 1 of val, from memory:", '  "the only one"']
    quoted = [line.strip() for line in lines if line.startswith('  "document')]
    assert quoted == [r'"document 0\n"', r'"document 13\n"', r'"document 26\n"']


def test_tokens_name_the_file_that_each_sample_came_from(tokens: Path):
    manifest = tokens / "manifest.json"
    first, *others = read_json(manifest)["shards"]
    edit_sealed(manifest, shards=[first | {"source": "a.jsonl"}, *others])
    lines = list(show_folder(tokens, 2))
    assert "document 1 of train, from a.jsonl:" in lines
    assert sum(line.endswith("from memory:") for line in lines) == 2


def test_of_a_long_document_the_beginning_is_decoded(tmp_path: Path):
    tokenizer = write_byte_tokenizer(tmp_path / "tokenizer")
    tokens = write_shards(tmp_path / "tokens", tokenizer, {"train": ["a" * 300, "b"], "val": ["c" * 300]}, 10**6)
    lines = list(show_folder(tokens, 2))
    assert f'  "{"a" * 200}"' in lines
    assert lines[lines.index("document 2 of train, from memory:") + 1] == '  "b"'


def test_tokens_of_another_tokenizer_are_refused_after_their_counts(tokens: Path):
    manifest = tokens / "manifest.json"
    edit_sealed(manifest, tokenizer_sha256="0" * 64)
    lines = show_folder(tokens, 1)
    assert next(lines).startswith("token shards")
    with pytest.raises(UserError, match="was made with the tokenizer 0"):
        list(lines)


def test_a_corpus_names_url_and_bytes_of_every_file(tmp_path: Path):
    corpus = write_corpus(tmp_path / "corpus", {"a.jsonl": ["first\tone", "second"], "b.txt": ["x" * 500]})
    text = text_of(corpus)
    assert "corpus: 2 files" in text
    assert r'"first\tone"' in text
    assert f'"{"x" * 200}" ...' in text
    assert "second" not in text


def test_messages_are_counted_by_label(tmp_path: Path):
    rows = [{"label": "ham", "text": f"hello {number}"} for number in range(9)] + [{"label": "spam", "text": "WIN"}]
    write_csv(tmp_path / "train.csv", rows, ["label", "text"])
    assert text_of(tmp_path, 2).split("\n") == [
        "train.csv: 10 rows, 9 ham, 1 spam",
        "  row 1 of train.csv:",
        '    label: "ham"',
        '    text: "hello 0"',
        "  row 6 of train.csv:",
        '    label: "ham"',
        '    text: "hello 5"',
    ]


def test_instructions_are_shown_field_by_field(tmp_path: Path):
    for split, count in {"train": 2, "val": 0}.items():
        write_jsonl(tmp_path / f"{split}.jsonl", [{"instruction": "Add.", "input": "", "output": "4"}] * count)
    text = text_of(tmp_path)
    assert "train.jsonl: 2 rows" in text
    assert "val.jsonl: 0 rows" in text
    assert text.count('    output: "4"') == 2


def test_a_tokenizer_shows_entries_and_its_end_of_text(tmp_path: Path):
    write_byte_tokenizer(tmp_path / "tokenizer")
    lines = list(show_folder(tmp_path / "tokenizer", 2))
    assert lines[0].startswith("tokenizer: byte-level BPE, 257 entries, sha256 ")
    assert lines[-1] == '  256: "<|endoftext|>"'
    assert len(lines) == 4


def test_a_model_shows_its_parameters_and_files(tmp_path: Path):
    directory = save_tiny_model(tmp_path / "model")
    model: GPT = load_gpt(directory)
    text = text_of(directory)
    assert f"model: GPT2LMHeadModel, {model.num_parameters():,} parameters" in text
    assert "n_positions: 2048" in text
    assert f"model.safetensors: {(directory / 'model.safetensors').stat().st_size:,} bytes" in text


def test_of_other_folders_the_files_are_listed_and_texts_begun(tmp_path: Path):
    (tmp_path / "corpus").mkdir()
    (tmp_path / "model.ckpt").write_bytes(b"\0" * 1_000)
    (tmp_path / "sms_spam.tsv").write_text("ham\thello\n" * 100)
    assert text_of(tmp_path).split("\n") == [
        "corpus/: a folder",
        "model.ckpt: 1,000 bytes",
        "sms_spam.tsv: 1,000 bytes",
        "beginning of sms_spam.tsv:",
        '  "' + r"ham\thello\n" * 20 + '" ...',
    ]


def test_links_that_lead_nowhere_and_folders_named_as_tables_are_listed(tmp_path: Path):
    (tmp_path / "a.csv").mkdir()
    (tmp_path / "b.txt").symlink_to("nowhere")
    assert text_of(tmp_path).split("\n") == ["a.csv/: a folder", "b.txt: 7 bytes"]


def test_a_checkpoint_of_openai_is_listed_as_fetched(tmp_path: Path):
    (tmp_path / "checkpoint").write_bytes(b"model")
    write_manifest(tmp_path)
    assert "checkpoint: 5 bytes" in text_of(tmp_path).split("\n")


def test_a_table_without_labels_is_shown(tmp_path: Path):
    (tmp_path / "a.csv").write_text("step,loss\n1,2.5\n")
    assert "a.csv: 1 rows" in text_of(tmp_path)


def test_an_empty_folder_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match="is empty"):
        text_of(tmp_path)


def test_no_samples_means_counts_alone(tokens: Path):
    assert "document 0" not in text_of(tokens, 0)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", r"a\.csv is no readable CSV file"),
        ("a.jsonl", b"[1]\n", r"lines that are no JSON objects"),
        ("manifest.json", b"[]", r"manifest\.json holds no object"),
    ],
)
def test_a_file_of_another_form_is_refused(name: str, content: bytes, message: str, tmp_path: Path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        text_of(tmp_path)
