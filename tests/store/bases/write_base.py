"""Write a base, and a snapshot of it, with the version of dermquery that PYTHONPATH names; see README.md."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from dermquery.data.case import Case
from dermquery.store.casebase import CaseBase
from tests.store.encoder import ProjectionEncoder

_FIELDS = set(Case.model_fields)


def _case(images: Path, i: int, **fields: Any) -> Case:
    """A case; what its version has no field for is an extra column, as in a case table that was read with it."""
    extra = {"camera": f"model {i}", "note": 'quote " and \u2028 line'}
    extra |= {name: fields.pop(name) for name in set(fields) - _FIELDS}
    return Case(case_id=f"lésion/{i}", image=images / f"lesion-{i}.jpg", extra=extra, **fields)


def main(schema: int, images: Path, base: Path, snapshot: Path) -> None:
    """Three cases in three writes, one of them written again, and one that was deleted."""
    cases = [
        _case(images, 0, diagnosis="nv", fine_diagnosis="clark nevus", lesion_id="L0", patient_id="P0", sex="female",
              age=34.5, site="back", elevation="flat", text="raised border", source="clinic A", date="2021-03-04",
              checklist={"pigment_network": "typical", "streaks": "absent"}),
        _case(images, 1, diagnosis="mel", lesion_id="L1", patient_id="P0", age=61.0,
              checklist={"pigment_network": "atypical"}),
        _case(images, 2, diagnosis="bkl", source="clinic B", **({"date": "some day"} if schema == 1 else {})),
        _case(images, 3, site="chest"),
    ]  # fmt: skip
    described: dict[str, Any] = {"described": True} if schema == 2 else {}
    written = CaseBase.create(base, ProjectionEncoder(), **described)
    written.add(cases[:2])
    written.add(cases[2:])
    written.add([cases[1].model_copy(update={"text": "seen again"})])
    written.store.delete(["lésion/3"])
    if schema > 1:
        from dermquery.store.transfer import write_snapshot

        write_snapshot(base, snapshot)


if __name__ == "__main__":
    main(int(sys.argv[1]), *map(Path, sys.argv[2:]))
