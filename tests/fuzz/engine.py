"""Fuzz one target with libFuzzer, guided by the code that an input reaches: ``python -m tests.fuzz.engine NAME …``."""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["dermquery", "PIL", "pydicom", "python_multipart"]):
    from tests.fuzz.target import bounded
    from tests.fuzz.targets import TARGETS


def main() -> None:
    """The arguments after the name are libFuzzer's."""
    warnings.simplefilter("ignore")
    name, *options = sys.argv[1:]
    target, folder = TARGETS[name], tempfile.mkdtemp(prefix=f"fuzz-{name}-")
    corpus, words, scratch = Path(folder) / "corpus", Path(folder) / "words", Path(folder) / "scratch"
    corpus.mkdir()
    scratch.mkdir()
    for number, seed in enumerate(target.seeds()):
        (corpus / str(number)).write_bytes(seed)
    words.write_text("".join('"' + "".join(map("\\x{:02x}".format, word)) + '"\n' for word in target.words))
    read = target.reader(scratch)
    atheris.Setup([name, f"-dict={words}", str(corpus), *options], lambda data: bounded(read, data))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
