"""What a part of the campaign found: the row that it gives to the table."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """How often something was `tried`, how often work or data was `lost`, and how many `manual` steps were needed.

    A `contrast` is a way of doing it that is not ours, shown beside it: its losses are no failure.
    """

    what: str
    tried: int
    lost: int
    manual: int = 0
    note: str = ""
    contrast: bool = False

    @property
    def failed(self) -> bool:
        """Whether ours did not hold."""
        return not self.contrast and (self.lost > 0 or self.manual > 0)

    def row(self) -> str:
        """A row of the table in Markdown."""
        return f"| {self.what} | {self.tried:,} | {self.lost:,} | {self.manual:,} | {self.note} |"


HEADER = "| what | tried | lost | manual steps | |\n|---|---|---|---|---|"
