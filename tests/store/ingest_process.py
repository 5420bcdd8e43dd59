"""Index the cases of a table, slowly, saying after each write how many are done; started and killed by a test."""

from __future__ import annotations

import resource
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from dermquery.data.case_table import read_cases
from dermquery.model.alignment import Vectors
from dermquery.store.casebase import CaseBase
from tests.store.encoder import Checklists, ProjectionEncoder


class SlowEncoder(ProjectionEncoder):
    def encode_case(self, images: Sequence[Image.Image], checklists: Checklists = None) -> Vectors:
        time.sleep(0.03)
        return super().encode_case(images, checklists)


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    table, target, *options = sys.argv[1:]
    cases = read_cases(Path(table))
    say("begin")
    if options:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(options[1]), int(options[1])))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that the write fails, as on a full disk
    base = CaseBase.open_or_create(Path(target), SlowEncoder())
    base.add(cases, batch_size=4, progress=lambda state: say("done", state.done))
    say("end")
