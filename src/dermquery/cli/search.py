"""``dermquery search``: the most similar cases for an image, a text, checklist terms or all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer
from rich.text import Text

from dermquery.cli.expected_errors import expected_errors
from dermquery.cli.hits_table import print_result
from dermquery.cli.plain_text import Console

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from dermquery.answer.content import Warned
    from dermquery.store.casebase import CaseBase
    from dermquery.store.hits import SearchResult

__all__ = ["search"]


@expected_errors
def search(
    base: Annotated[str, typer.Option("--base", help="Folder of the case base, or milvus://host:port/name.")],
    image: Annotated[Path | None, typer.Option(help="Reference dermoscopic image.")] = None,
    text: Annotated[str | None, typer.Option(help="Free text.")] = None,
    term: Annotated[
        list[str] | None, typer.Option(help="Checklist term, for example pigment_network=atypical; may be repeated.")
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            help="Condition, for example site=back, site=back,chest, site='head, neck', age>=40, diagnosis!=nv; also "
            "on a column of your own; repeatable."
        ),
    ] = None,
    must: Annotated[
        list[str] | None,
        typer.Option(help="Finding that a case must have, for example vascular_structures=arborizing; repeatable."),
    ] = None,
    top_k: Annotated[int, typer.Option("--top-k", help="Hits wanted.")] = 5,
    offset: Annotated[int, typer.Option("--offset", help="Best hits to pass over, to read on in a ranking.")] = 0,
    exact: Annotated[bool, typer.Option("--exact", help="Look at every case, also where there is an index.")] = False,
    preset: Annotated[
        str | None, typer.Option(help="What counts: balanced, paper, 'same findings' or look-alikes; see base info.")
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="Weights of the parts instead, for example meaning=1,findings=.5,look=.3.")
    ] = None,
    local_weight: Annotated[
        float | None, typer.Option("--local-weight", help="λ of equation 9: 0 is global only, 1 is local only.")
    ] = None,
    exclude_case: Annotated[list[str] | None, typer.Option(help="Never find this case; repeatable.")] = None,
    exclude_lesion: Annotated[list[str] | None, typer.Option(help="Never find this lesion; repeatable.")] = None,
    exclude_patient: Annotated[list[str] | None, typer.Option(help="Never find this patient; repeatable.")] = None,
    json_out: Annotated[str | None, typer.Option("--json", help="Write JSON to this file, or - for stdout.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a self-contained result sheet.")] = None,
    pdf: Annotated[Path | None, typer.Option(help="Write a report as PDF, on A4.")] = None,
    png: Annotated[Path | None, typer.Option(help="Write the result as one picture.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the hits as a table that a spreadsheet opens safely.")] = None,
    fhir: Annotated[
        Path | None, typer.Option(help="Write the answer as a FHIR R4B bundle, without ids of cases and patients.")
    ] = None,
    seg: Annotated[
        Path | None, typer.Option(help="Write where the query is alike its hits as a DICOM segmentation of its image.")
    ] = None,
    sr: Annotated[
        Path | None, typer.Option(help="Write the query's findings as a DICOM structured report about its image.")
    ] = None,
    report: Annotated[
        list[Path] | None,
        typer.Option(
            help="Write a report; the file's ending names the format, also one that a package adds; repeatable."
        ),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show in page, report and picture where the local similarity comes from.")
    ] = False,
    viewer: Annotated[
        str | None,
        typer.Option(
            envvar="DERMQUERY_VIEWER",
            help="Where hits open in a picture archive, for example https://pacs/viewer?StudyInstanceUIDs={study}",
        ),
    ] = None,
    notice: Annotated[str | None, typer.Option(help="A line shown on top of page, report and picture.")] = None,
    model: Annotated[
        str | None, typer.Option(help="Model to encode the query with; the base's own if not given.")
    ] = None,
) -> None:
    """Find the most similar cases of a case base."""
    from dermquery.data.viewer import Viewer
    from dermquery.store.casebase import CaseBase
    from dermquery.store.where import Written

    if preset is not None and weights is not None:
        raise ValueError(f"--preset {preset!r} and --weights {weights!r} say the same thing twice; give one of them")
    opens = Viewer(viewer) if viewer else None
    named = {"json": json_out, "html": html, "pdf": pdf, "png": png, "csv": csv, "fhir.json": fhir}
    outputs = _Outputs.of({form: path for form, path in named.items() if path is not None}, report or ())
    outputs.check(*filter(None, (seg, sr)))
    source = _dicom_source(image, seg, sr)
    case_base = CaseBase.open(base, model, ahead=True)
    result = case_base.search(
        image=image,
        text=text,
        checklist=_terms(term or []),
        where=Written(tuple(where or ()), tuple(must or ())),
        top_k=top_k,
        offset=offset,
        exact=exact,
        weights=preset if weights is None else weights,
        local_weight=local_weight,
        exclude_case=exclude_case,
        exclude_lesion=exclude_lesion,
        exclude_patient=exclude_patient,
    ).with_links(opens)
    if explain and not outputs.explained():
        raise ValueError("--explain is drawn on page, report or picture; add --html, --pdf or --png FILE")
    if explain or seg is not None:
        result = case_base.explain(result)
    warnings = _warnings(case_base, result)
    if case_base.read_only:
        Console(stderr=True, soft_wrap=True).print(Text(case_base.read_only, style="yellow"))
    outputs.write(result, warnings, notice, {} if source is None else _objects(result, source, seg, sr))
    if json_out != "-":
        print_result(result, case_base, warnings)


def _terms(written: list[str]) -> dict[str, str]:
    terms: dict[str, str] = {}
    for item in written:
        name, equals, value = (part.strip() for part in item.partition("="))
        if not equals or not value:
            raise ValueError(f"cannot read the term {item!r}; write for example pigment_network=atypical")
        if terms.get(name, value) != value:
            raise ValueError(f"two values for {name}: {terms[name]!r} and {value!r}; give one")
        terms[name] = value
    return terms


class _Outputs(NamedTuple):
    """Files to write, each with its format; the path ``-`` is standard output."""

    files: tuple[tuple[str, Path], ...]

    @classmethod
    def of(cls, named: Mapping[str, str | Path], others: Sequence[Path]) -> _Outputs:
        """Files whose format an option names, and others, whose ending does.

        Raises:
            ValueError: there is no format of that ending.
        """
        files = [(form, Path(path)) for form, path in named.items()]
        if others:  # a search that writes nothing does not import what would
            from dermquery.answer.formats import ending_of

            files += [(ending_of(path), path) for path in others]
        return cls(tuple(files))

    def check(self, *objects: Path) -> None:
        """Refuse a file in a folder that does not exist, which may be mistyped, before anything is searched.

        Raises:
            FileNotFoundError: there is no such folder.
        """
        for path in (*(path for _, path in self.files), *objects):
            if str(path) != "-" and not path.absolute().parent.is_dir():
                raise FileNotFoundError(f"{path}: there is no folder {path.parent}; make it, or correct the name")

    def explained(self) -> bool:
        """Whether one of them shows where a similarity comes from."""
        from dermquery.answer.formats import REPORTS

        return any((found := REPORTS.find(form)) is not None and found.explained for form, _ in self.files)

    def write(
        self, result: SearchResult, warnings: Sequence[Warned], notice: str | None, objects: Mapping[Path, Dataset]
    ) -> None:
        """Write them all, and objects, once each could be made: whoever is told of an error has no half of an answer.

        matplotlib, jinja2 and fpdf2 are imported for those that need them only.
        """
        from dermquery.answer.formats import render
        from dermquery.data.files import replacing

        rendered = [(path, render(form, result, warnings, notice)[0]) for form, path in self.files]
        for path, content in rendered:
            if str(path) == "-":
                typer.echo(content.decode().rstrip("\n"))
                continue
            with replacing(path) as part:
                part.write_bytes(content)
        if objects:
            from dermquery.data.dicom.quiet import quiet

            for path, made in objects.items():
                with quiet(), replacing(path) as part:
                    made.save_as(part)


def _warnings(case_base: CaseBase, result: SearchResult) -> tuple[Warned, ...]:
    """What is wrong with the base and the query's image, and whether it is like anything in the base."""
    if result.query.image is None:
        return result.damage
    from dermquery.data.dicom.frames import said_of_frames
    from dermquery.data.image import UprightImage
    from dermquery.data.image_quality import check_image
    from dermquery.store.likeness import LEAST_CASES, Likeness, encode_alone
    from dermquery.store.same_image import said_of, said_of_hits

    image = UprightImage.of(result.query.image)
    data = Path(result.query.image).read_bytes()
    held, frames = said_of(case_base.cases_of_file(data, image)), said_of_frames(image.frames)
    found: list[Warned] = [*result.damage, *frames, *held, *said_of_hits(result.hits), *check_image(image)]
    if result.hits and result.base.count >= LEAST_CASES:
        unlike = Likeness.of(case_base).judge(encode_alone(case_base, image), result.weights)
        found += [unlike] if unlike is not None else []
    return tuple(found)


def _dicom_source(image: Path | None, seg: Path | None, sr: Path | None) -> Dataset | None:
    """Attributes of the query's image, if an object about it is to be written."""
    if seg is None and sr is None:
        return None
    option = "--seg" if sr is None else "--sr"
    if image is None:
        raise ValueError(f"{option} writes an object about the query's image; give one by --image")
    from dermquery.data.dicom.container import is_dicom, need_libraries

    with image.open("rb") as file:
        if not is_dicom(file.read(256)):
            raise ValueError(f"{image} is no DICOM object, which {option} could refer to; leave {option} out")
    need_libraries()
    from dermquery.data.dicom.header import read_header

    return read_header(image).dataset


def _objects(result: SearchResult, source: Dataset, seg: Path | None, sr: Path | None) -> dict[Path, Dataset]:
    """The objects to write, by their files."""
    from dermquery.data.dicom.quiet import quiet

    made: dict[Path, Dataset] = {}
    with quiet():
        if seg is not None:
            from dermquery.answer.dicom.seg import regions

            made[seg] = regions(result, source)
        if sr is not None:
            from dermquery.answer.dicom.sr import checklist_report

            made[sr] = checklist_report(source, result.terms)
    return made
