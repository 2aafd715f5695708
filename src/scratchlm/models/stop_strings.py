"""Where the text of new tokens ends, and what of it can be shown while more tokens come."""

from collections.abc import Callable, Iterable, Iterator, Sequence

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def cut_at_stop(text: str, stop_strings: Sequence[str]) -> tuple[str, bool]:
    """The text before the first stop string in it, and whether there is one."""
    starts = [start for stop in stop_strings if (start := text.find(stop)) >= 0]
    return text[: min(starts, default=None)], bool(starts)


def stream_text(
    steps: Iterable[Sequence[int]], decode: Callable[[Sequence[int]], str], stop_strings: Sequence[str] = ()
) -> Iterator[str]:
    """The text of a growing list of tokens, given at each of `steps`, in pieces; ends with the first stop string.

    A character of several bytes comes when it is whole, what may begin a stop string when it does not. The pieces are
    together `cut_at_stop` of the tokens up to there, however these cut the text.
    """
    shown, text = 0, ""
    for tokens in steps:
        text, has_stopped = cut_at_stop(decode(tokens), stop_strings)
        if has_stopped:
            break
        certain = len(text.rstrip(REPLACEMENT))  # bytes that may yet become a character
        certain -= _begun(text[:certain], stop_strings)
        if certain > shown:
            yield text[shown:certain]
            shown = certain
    if len(text) > shown:
        yield text[shown:]


def _begun(text: str, stop_strings: Sequence[str]) -> int:
    """The length of the longest beginning of a stop string that the text ends with."""
    lengths = (length for stop in stop_strings for length in range(len(stop)) if text.endswith(stop[:length]))
    return max(lengths, default=0)
