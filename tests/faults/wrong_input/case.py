"""What a case of wrong input says, and the stages and the model that many of them name."""

from dataclasses import dataclass, field

from tests.faults.changes import Change

SMS = "prepare_sms_spam"
ENTRIES = "prepare_instructions"
MODEL = "data/models/gpt2-roundtrip"


@dataclass(frozen=True)
class Case:
    """What is wrong, the stage that must say so, and parts of its line."""

    wrong: str
    stage: str
    change: Change
    parts: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
