"""OpenAI's TensorFlow layout, there and back, and what is refused."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from scratchlm.artifacts import read_json, write_json
from scratchlm.checksums import sha256_file
from scratchlm.errors import UserError
from scratchlm.models.gpt import GPT, GPTConfig
from scratchlm.models.gpt2_checkpoint import (
    check_files,
    check_values,
    read_hparams,
    read_values,
    tensor_shapes,
    write_gpt2,
)

CONFIG = GPTConfig(n_layer=11, n_head=2, n_embd=8, context_length=16, vocab_size=50)
DATA = "model.ckpt.data-00000-of-00001"


def write(model: GPT, directory: Path) -> None:
    write_gpt2(model.config, ((name, tensor.numpy()) for name, tensor in model.state_dict().items()), directory)


def check(directory: Path) -> None:
    """All that is looked at before and while a checkpoint is read."""
    check_values(directory, read_hparams(directory))


@pytest.fixture(scope="module")
def model() -> GPT:
    return make_model()


def make_model() -> GPT:
    model = GPT(CONFIG)
    model.init_weights(seed=1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2))
    return model


@pytest.fixture(scope="module")
def written(model: GPT, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("gpt2")
    write(model, directory)
    return directory


@pytest.fixture
def checkpoint(written: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(written, tmp_path / "checkpoint"))


@pytest.fixture
def genuine(mirror: Path, tmp_path: Path) -> Path:
    """OpenAI's files of the 124M model, without the weights."""
    files = mirror / "openaipublic.blob.core.windows.net/gpt-2/models/124M"
    directory = tmp_path / "124M"
    directory.mkdir()
    for file in files.iterdir():
        (directory / file.name).symlink_to(file)
    return directory


def test_values_come_back_bit_for_bit_in_the_order_that_was_asked_for(model: GPT, written: Path):
    assert read_hparams(written) == model.config
    state = model.state_dict()
    values = b"".join(read_values(written, check_files(written, model.config), reversed(state)))
    assert values == b"".join(state[name].numpy().tobytes() for name in reversed(state))


def test_tensorflow_finds_openais_names_and_values(model: GPT, written: Path):
    import tensorflow

    assert tensorflow.train.latest_checkpoint(str(written)) == str(written / "model.ckpt")
    reader = tensorflow.train.load_checkpoint(str(written))
    block = model.h[10]
    for name, parameter in {
        "model/wte": model.wte.weight,
        "model/h10/ln_2/g": block.ln_2.weight,
        "model/h10/attn/c_proj/w": block.attn.c_proj.weight[None],
        "model/h10/mlp/c_fc/b": block.mlp.c_fc.bias,
        "model/ln_f/b": model.ln_f.bias,
    }.items():
        assert torch.equal(torch.from_numpy(reader.get_tensor(name)), parameter)


def test_the_meta_graph_restores_the_weights(model: GPT, written: Path):
    """OpenAI's own code builds a graph and restores into it; here the graph is the one of model.ckpt.meta."""
    from tensorflow.compat import v1 as tf

    with tf.Graph().as_default() as graph, tf.Session() as session:
        tf.train.import_meta_graph(str(written / "model.ckpt.meta")).restore(session, str(written / "model.ckpt"))
        assert torch.equal(torch.from_numpy(session.run(graph.get_tensor_by_name("model/wpe:0"))), model.wpe.weight)


def test_another_process_writes_the_same_bytes_and_prints_nothing(written: Path, tmp_path: Path):
    program = (
        "import sys; from pathlib import Path\n"
        "from tests.models.test_gpt2_checkpoint import make_model, write\n"
        "write(make_model(), Path(sys.argv[1]))"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    names = {file.name for file in written.iterdir()}
    assert names == {"checkpoint", "hparams.json", DATA, "model.ckpt.index", "model.ckpt.meta"}
    assert all(sha256_file(written / name) == sha256_file(tmp_path / name) for name in names)


def test_the_genuine_index_has_the_148_tensors_that_we_expect(genuine: Path):
    config = read_hparams(genuine)
    assert (config.n_layer, config.n_head, config.n_embd) == (12, 12, 768)
    assert (config.context_length, config.vocab_size) == (1024, 50257)
    assert len(tensor_shapes(config)) == 148
    with pytest.raises(UserError, match=re.escape(DATA) + " is missing"):  # all that is before it was right
        check_files(genuine, config)


def test_the_genuinely_truncated_data_is_refused_before_it_is_read(genuine: Path, shared: Path):
    broken = shared / "mirror-broken/openaipublic.blob.core.windows.net/gpt-2/models/124M" / DATA
    (genuine / DATA).symlink_to(broken)
    with pytest.raises(UserError, match="has 3,145,728 bytes, its index says 497,759,232"):
        check(genuine)


def test_data_of_another_size_is_refused(checkpoint: Path):
    data = (checkpoint / DATA).read_bytes()
    for spoilt in (b"", data[:-1], data + b"x"):
        (checkpoint / DATA).write_bytes(spoilt)
        with pytest.raises(UserError, match=f"has {len(spoilt):,} bytes, its index says {len(data):,}"):
            check(checkpoint)


def test_every_altered_byte_of_the_data_is_refused(model: GPT, checkpoint: Path):
    entries = check_files(checkpoint, model.config)
    whole = (checkpoint / DATA).read_bytes()
    for name, entry in entries.items():
        for place in (entry.offset, entry.offset + entry.size - 1):
            (checkpoint / DATA).write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            with pytest.raises(UserError, match=f"{name} cannot be read .*its bytes do not have its checksum"):
                check(checkpoint)


def test_tensors_that_leave_bytes_without_a_checksum_are_refused(
    checkpoint: Path, model: GPT, monkeypatch: pytest.MonkeyPatch
):
    entries = check_files(checkpoint, model.config)
    twins = "model/h0/ln_1/b", "model/h0/ln_1/g"
    doubled = {**entries, twins[1]: entries[twins[0]]}
    monkeypatch.setattr("scratchlm.models.gpt2_checkpoint.read_index", lambda path: doubled)
    with pytest.raises(UserError, match=r"model/h0/ln_1/[bg] is not where the tensor before it ends"):
        check_files(checkpoint, model.config)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("n_layer", 12, "lacks the tensor model/h11/attn/c_attn/b"),
        ("n_layer", 2**40, "n_layer: .*1000"),  # before the names of so many tensors are made
        ("n_layer", 10, "has the tensor model/h10/attn/c_attn/b"),
        ("n_ctx", 32, r"model/wpe has shape \(16, 8\), hparams.json asks for \(32, 8\)"),
        ("n_head", 3, "n_embd: .*multiple of n_head 3"),
        ("n_embd", "8", "n_embd: .*integer"),
        ("n_inner", 32, "n_inner: "),
    ],
)
def test_hparams_that_do_not_fit_are_refused(checkpoint: Path, key: str, value: object, message: str):
    write_json(checkpoint / "hparams.json", {**read_json(checkpoint / "hparams.json"), key: value})
    with pytest.raises(UserError, match=message):
        check(checkpoint)


@pytest.mark.parametrize("name", ["hparams.json", "model.ckpt.index"])
def test_a_damaged_or_missing_file_is_named(checkpoint: Path, name: str):
    (checkpoint / name).write_bytes(b"no such thing")
    with pytest.raises(UserError, match=re.escape(name) + " is no "):
        check(checkpoint)
    (checkpoint / name).unlink()
    with pytest.raises(UserError, match=re.escape(name) + " is missing"):
        check(checkpoint)


def test_values_that_are_not_finite_are_refused(tmp_path: Path):
    model = GPT(GPTConfig(n_layer=1, n_head=1, n_embd=4, context_length=4, vocab_size=5))
    model.init_weights(seed=0)
    with torch.no_grad():
        model.ln_f.bias[1:3] = torch.tensor([torch.nan, torch.inf])
    write(model, tmp_path)
    with pytest.raises(UserError, match="2 of 4 values of model/ln_f/b are not finite"):
        check(tmp_path)


def test_half_precision_is_refused(tmp_path: Path):
    import tensorflow

    config = GPTConfig(n_layer=1, n_head=1, n_embd=4, context_length=4, vocab_size=5)
    shapes = tensor_shapes(config)
    tensorflow.raw_ops.SaveV2(
        prefix=str(tmp_path / "model.ckpt"),
        tensor_names=list(shapes),
        shape_and_slices=[""] * len(shapes),
        tensors=[tensorflow.zeros(shape, tensorflow.float16) for shape in shapes.values()],
    )
    with pytest.raises(UserError, match="has type float16, only float32"):
        check_files(tmp_path, config)
