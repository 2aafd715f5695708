"""A conversation: its turns in the model's template, what the context holds of it, and the terminal."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scratchlm.chat import Conversation
from scratchlm.cli import cli
from scratchlm.datasets.chat_templates import read_chat_template
from scratchlm.datasets.tokenizers import load_tokenizer
from scratchlm.errors import UserError
from scratchlm.models.storage import load_gpt
from tests.conftest import ROOT
from tests.corpora import write_byte_tokenizer
from tests.tiny_model import greedy, save_tiny_model, teach, tiny_gpt

TEMPLATE = "{% for m in messages %}{{ m.role[0] }}:{{ m.content }}\n{% endfor %}"
COMMAND = [sys.executable, "-c", "from scratchlm.cli import app; app()", "chat"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that says `Hi!` after a line break, and one that babbles."""
    folder = tmp_path_factory.mktemp("models")
    tokenizer = write_byte_tokenizer(folder / "tokenizer")
    model = teach(tiny_gpt(context_length=64), [*tokenizer.encode("\nHi!"), tokenizer.eot_id])
    save_tiny_model(folder / "talker", model, chat_template=TEMPLATE)
    save_tiny_model(folder / "babbler", tiny_gpt(), chat_template=TEMPLATE)
    return folder


def conversation(folder: Path, temperature: float = 0.0, stop_strings: tuple[str, ...] = ()) -> Conversation:
    template = read_chat_template(folder)
    assert template is not None
    sampling = greedy(16).model_copy(update={"temperature": temperature, "seed": 5})
    return Conversation(load_gpt(folder), load_tokenizer(folder), template, sampling, stop_strings)


def test_every_turn_stands_in_the_next_prompt(models: Path):
    talk = conversation(models / "talker")
    answers = []
    for message in ("one", "two"):
        assert talk.ask(message) == 0
        answers.append("".join(talk.answer()))
    assert answers == ["Hi!", "Hi!"]
    assert talk.tokenizer.decode(talk.prompt) == "u:one\na:Hi!\nu:two\n"


def test_the_oldest_turns_are_dropped_when_the_context_is_full(models: Path):
    talk = conversation(models / "talker")
    dropped = []
    for number in range(6):
        dropped.append(talk.ask(f"message {number}"))  # 18 tokens a turn; 48 leave room for an answer
        "".join(talk.answer())
        assert len(talk.prompt) <= 64 - 16
    assert dropped == [0, 0, 0, 1, 1, 1]
    assert talk.tokenizer.decode(talk.prompt) == "u:message 3\na:Hi!\nu:message 4\na:Hi!\nu:message 5\n"


def test_a_message_that_fills_the_context_alone_is_refused_and_forgotten(models: Path):
    talk = conversation(models / "talker")
    talk.ask("one")
    "".join(talk.answer())
    before = list(talk.messages)
    with pytest.raises(UserError, match="the message has 73 tokens in its template, the model's context_length of 64"):
        talk.ask("x" * 70)
    assert talk.messages == before


def test_a_long_message_gets_what_room_is_left(models: Path):
    talk = conversation(models / "talker")
    talk.ask("x" * 59)  # 62 tokens
    assert "".join(talk.answer()) == "Hi"


def test_as_much_of_an_answer_as_was_given_belongs_to_the_conversation(models: Path):
    talk = conversation(models / "talker")
    talk.ask("one")
    answer = talk.answer()
    assert next(answer) == "H"
    answer.close()
    assert talk.messages[-1] == {"role": "assistant", "content": "H"}


def test_a_conversation_is_drawn_anew_each_turn_and_the_same_again_after_a_reset(models: Path):
    talk = conversation(models / "babbler", temperature=1.0)

    def two_turns() -> list[str]:
        answers = []
        for _ in range(2):
            talk.ask("one")
            answers.append("".join(talk.answer()))
            del talk.messages[:]
        return answers

    first, second = two_turns()
    assert first != second
    talk.reset()
    assert two_turns() == [first, second]


def test_a_stop_string_ends_an_answer(models: Path):
    talk = conversation(models / "talker", stop_strings=("i!",))
    talk.ask("one")
    assert "".join(talk.answer()) == "H"


def test_a_pipe_gets_one_answer_a_message_and_notices_on_stderr(models: Path):
    messages = [f"message {number}" for number in range(4)]
    text = "\r\n".join([*messages, "", "/reset", "x", "/quit", "y"])
    done = CliRunner().invoke(cli, ["chat", str(models / "talker"), "--max-new-tokens", "16"], input=text)
    assert (done.exit_code, done.stdout) == (0, "Hi!\n" * 5)
    assert done.stderr == "The oldest turn was dropped: the context of the model is full.\n"


def test_a_message_on_a_pipe_that_does_not_fit_ends_the_program(models: Path):
    with pytest.raises(UserError, match="the message has 103 tokens"):
        CliRunner().invoke(cli, ["chat", str(models / "talker")], input="x" * 100, catch_exceptions=False)


class Terminal:
    """A chat in a terminal of its own."""

    def __init__(self, *arguments: str) -> None:
        self.screen, end = pty.openpty()
        environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "TERM": "dumb"}
        # A controlling terminal is what turns Ctrl-C into SIGINT.
        self.process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", *COMMAND, *arguments], stdin=end, stdout=end, stderr=end, env=environment
        )
        os.close(end)

    def type(self, keys: bytes) -> None:
        os.write(self.screen, keys)

    def read_until(self, text: bytes) -> bytes:
        seen = b""
        while text not in seen:
            seen += os.read(self.screen, 1_024)
        return seen


def test_in_a_terminal_ctrl_c_stops_an_answer_and_ctrl_d_ends_the_conversation(models: Path):
    # Of 2,048 tokens at temperature 0, this model repeats one byte again and again: seconds of an answer.
    terminal = Terminal(str(models / "babbler"), "--max-new-tokens", "2000", "--temperature", "0")
    try:
        assert b"/reset forgets" in terminal.read_until(b"> ")
        terminal.type(b"Hello\n")
        terminal.read_until(b"Hello\r\n")
        assert len(os.read(terminal.screen, 100)) < 1_000
        terminal.type(b"\x03")
        assert b"Traceback" not in terminal.read_until(b"\n> ")
        terminal.type(b"x" * 2_100 + b"\n")
        # Ctrl-D before the prompt would be lost: only there readline has the keys.
        assert b"must also hold an answer; shorten the message." in terminal.read_until(b"\n> ")
        terminal.type(b"\x04")
        assert terminal.process.wait(timeout=60) == 0
    finally:
        terminal.process.kill()
        terminal.process.wait()
        os.close(terminal.screen)
