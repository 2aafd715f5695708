"""The header Retry-After: how long a server asks to wait before the next request."""

import time
from email.utils import parsedate_to_datetime


def parse_retry_after(value: str) -> float:
    """The seconds to wait, from a number or a date (RFC 9110, 10.2.3); 0 if it is neither."""
    try:
        return (
            float(value)
            if value.replace(".", "", 1).isdigit()
            else parsedate_to_datetime(value).timestamp() - time.time()
        )
    except ValueError:
        return 0.0
