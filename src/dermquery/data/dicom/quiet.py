"""pydicom without its messages, which quote values: the name of a patient would stand in a log."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from pydicom import config

__all__ = ["quiet"]

_LOCK = threading.RLock()
"""The filters of warnings belong to the process."""

config.settings.reading_validation_mode = config.IGNORE
config.settings.writing_validation_mode = config.RAISE
config.convert_wrong_length_to_UN = True
logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)


@contextmanager
def quiet() -> Iterator[None]:
    """No warning is shown within. One thread at a time."""
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
