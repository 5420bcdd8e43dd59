"""A client of the HTTP API: ``Client("https://cases.example.org", key="…").search(image="lesion.jpg", top_k=5)``."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypedDict, TypeVar, Unpack
from urllib.parse import quote

try:
    import httpx
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "the client needs httpx; install it with: pip install 'dermquery[serve]'", name="httpx"
    ) from error

from pydantic import BaseModel

from dermquery.data.case import Case
from dermquery.model.parts import Weights
from dermquery.model.presets import AskedWeights, written
from dermquery.serve.api.job_routes import JobList
from dermquery.serve.api.overview import DuplicatesAnswer, MapAnswer
from dermquery.serve.api.schemas import PREFIX, CaseAnswer, CasePage, InfoAnswer, ValueCounts, case_url, search_url
from dermquery.serve.api.search_schemas import SearchAnswer
from dermquery.serve.fields import CaseDescription, CaseFields
from dermquery.serve.job_folder import Job
from dermquery.store.filters import Filter

__all__ = ["ApiError", "Client", "Ranking"]

M = TypeVar("M", bound=BaseModel)
_ENDED = frozenset({"done", "cancelled", "failed", "undone"})
Described = Case | CaseDescription | Mapping[str, Any]
"""What is known of a case; a case's own image is not looked at."""


class Ranking(TypedDict, total=False):
    """How to rank; the service's defaults stand for what is left out.

    Attributes:
        where: a filter, or conditions such as ``"site=back"``.
        must: findings that a case must have, such as ``"vascular_structures=arborizing"``.
        top_k: hits wanted, 100 at most.
        offset: hits before them.
        weights: of the parts of a score: the name of a preset, ``"meaning=1,findings=.5"``, or by name.
        local_weight: λ, in place of that of the weights.
        exclude_case, exclude_lesion, exclude_patient: ids that must not be found.
    """

    where: Filter | Sequence[str]
    must: str | Sequence[str]
    top_k: int
    offset: int
    weights: AskedWeights
    local_weight: float
    exclude_case: str | Collection[str]
    exclude_lesion: str | Collection[str]
    exclude_patient: str | Collection[str]


class ApiError(Exception):
    """The service refused a request.

    Attributes:
        status: of HTTP.
        title: the kind of problem.
        detail: what was wrong, and what to do.
        retry_after: seconds after which asking again makes sense; None if it makes none.
        problem: every member of the answer.
    """

    def __init__(self, status: int, problem: Mapping[str, Any], retry_after: float | None = None) -> None:
        self.status, self.problem, self.retry_after = status, problem, retry_after
        self.title, self.detail = str(problem.get("title", "")), str(problem.get("detail", ""))
        super().__init__(f"{status} {self.title}: {self.detail}")


class Client:
    """One service; a context that closes its connections.

    Args:
        url: address of the service, with the path under which a proxy shows it.
        key: an API key, or a token of the identity provider; none for a service on this machine without keys.
        timeout: seconds to wait for an answer.
        http: an own HTTP client, for instance with a certificate authority; ``url``, ``key`` and ``timeout`` are its.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8420",
        key: str | None = None,
        *,
        timeout: float = 60.0,
        http: httpx.Client | None = None,
    ) -> None:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._http = http or httpx.Client(base_url=url, headers=headers, timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # --- searches ----------------------------------------------------------------------------------------------

    def search(
        self,
        image: str | Path | bytes | None = None,
        text: str | None = None,
        checklist: Mapping[str, str] | None = None,
        **ranking: Unpack[Ranking],
    ) -> SearchAnswer:
        """Find the most similar cases; arguments are those of :meth:`dermquery.CaseBase.search`.

        Raises:
            ApiError: refused; :attr:`ApiError.detail` says why.
            httpx.HTTPError: the service cannot be reached.
        """
        fields = _as_form(_sent(ranking))
        if text is not None:
            fields["text"] = text
        if checklist:
            fields["checklist"] = json.dumps(dict(checklist))
        files = None if image is None else {"image": ("image", _bytes(image))}
        return self._answer(SearchAnswer, "POST", f"{PREFIX}/searches", data=fields, files=files)

    def rerank(self, search: str, **ranking: Unpack[Ranking]) -> SearchAnswer:
        """Rank a search again by its key, with other weights, another filter or page."""
        return self._answer(SearchAnswer, "POST", search_url(search), json=_sent(ranking))

    def feedback(
        self,
        search: str,
        relevant: Collection[str] = (),
        irrelevant: Collection[str] = (),
        **ranking: Unpack[Ranking],
    ) -> SearchAnswer:
        """Move a search towards the cases marked as relevant and away from the others; the answer has its own key."""
        body = _sent(ranking) | {"relevant": list(relevant), "irrelevant": list(irrelevant)}
        return self._answer(SearchAnswer, "POST", f"{search_url(search)}/feedback", json=body)

    def similar(self, case_id: str, **ranking: Unpack[Ranking]) -> SearchAnswer:
        """Find more like a case; itself, its lesion and its patient are left out."""
        return self._answer(SearchAnswer, "POST", f"{case_url(case_id)}/similar", json=_sent(ranking))

    def overlay(
        self, search: str, case_id: str, over: Literal["case", "query"] = "case", level: str | None = None
    ) -> bytes:
        """A transparent PNG that shows where the local similarity of a search and a case comes from."""
        url = f"{search_url(search)}{case_url(case_id).removeprefix(PREFIX)}/overlay"
        return self._ask("GET", url, params={"over": over} | ({"level": level} if level else {})).content

    def report(self, search: str, ending: str = "pdf", **ranking: Unpack[Ranking]) -> bytes:
        """A search's hits as a file: a report with images (pdf, html, png), data (csv, json, fhir.json), or of another
        package.
        """
        asked = _as_form(_sent(ranking))
        return self._ask("GET", f"{search_url(search)}/hits.{ending}", params=asked).content

    # --- cases -------------------------------------------------------------------------------------------------

    def cases(self, where: Sequence[str] = (), page: int = 200) -> Iterator[CaseAnswer]:
        """Every case that satisfies the conditions, in the order of their ids, a page at a time."""
        asked: dict[str, Any] = {"where": list(where), "limit": page}
        while True:
            found = self._answer(CasePage, "GET", f"{PREFIX}/cases", params=asked)
            yield from found.cases
            if found.next is None:
                return
            asked["after"] = found.next

    def case(self, case_id: str) -> CaseAnswer:
        """One case."""
        return self._answer(CaseAnswer, "GET", case_url(case_id))

    def image(self, case_id: str) -> bytes:
        """A case's image, JPEG or PNG without metadata."""
        return self._ask("GET", f"{case_url(case_id)}/image").content

    def thumbnail(self, case_id: str) -> bytes:
        """A JPEG of at most 256 pixels a side."""
        return self._ask("GET", f"{case_url(case_id)}/thumbnail").content

    def add(self, case: Described, image: str | Path | bytes | None = None, *, update: bool = False) -> CaseAnswer:
        """Put a case in; it can be found when this returns.

        Args:
            case: with its ``case_id``.
            image: without it, the file that a :class:`Case` names.
            update: replace a case of this id, if there is one.
        """
        source = case.image if image is None and isinstance(case, Case) else image
        if source is None:
            raise ValueError("a new case needs an image; give image=…")
        form = {"case": json.dumps(_fields(case)), "update": json.dumps(update)}
        files = {"image": ("image", _bytes(source))}
        return self._answer(CaseAnswer, "POST", f"{PREFIX}/cases", data=form, files=files)

    def update(self, case_id: str, case: Described, image: str | Path | bytes | None = None) -> CaseAnswer:
        """Replace all that is known of a case, and its image if one is given."""
        fields = _fields(case)
        fields.pop("case_id", None)
        files = None if image is None else {"image": ("image", _bytes(image))}
        form = {"case": json.dumps(fields)}
        return self._answer(CaseAnswer, "PUT", case_url(case_id), data=form, files=files)

    def delete(self, case_id: str) -> None:
        """Take a case out."""
        self._ask("DELETE", case_url(case_id))

    # --- jobs --------------------------------------------------------------------------------------------------

    def submit(
        self,
        archive: str | Path | None = None,
        *,
        table: str | Path | None = None,
        images: Sequence[str | Path] = (),
        update: bool = False,
        skip_bad: bool = False,
        keep: Sequence[str] = (),
    ) -> Job:
        """Send a case table with its images, as one ZIP file or as single files; returns once they are safe.

        Columns that may name a person are left out (:attr:`Job.left_out`), unless ``keep`` has them.
        """
        named = [("archive", archive), ("table", table), *(("images", image) for image in images)]
        with ExitStack() as stack:
            given = ((field, Path(path)) for field, path in named if path is not None)
            files = [(field, (path.name, stack.enter_context(path.open("rb")))) for field, path in given]
            form = {"update": json.dumps(update), "skip_bad": json.dumps(skip_bad), "keep": [*keep]}
            return self._answer(Job, "POST", f"{PREFIX}/jobs", data=form, files=files)

    def job(self, job_id: str) -> Job:
        """Where a job stands."""
        return self._answer(Job, "GET", _job_url(job_id))

    def jobs(self) -> list[Job]:
        """Every job, the latest first."""
        return list(self._answer(JobList, "GET", f"{PREFIX}/jobs").jobs)

    def wait(self, job_id: str, progress: Callable[[Job], None] | None = None, every: float = 0.5) -> Job:
        """Wait until a job has ended, however it did; ``progress`` is told where it stands."""
        while True:
            job = self.job(job_id)
            if progress is not None:
                progress(job)
            if job.state in _ENDED:
                return job
            time.sleep(every)

    def cancel(self, job_id: str) -> Job:
        """Stop a job after the cases that are being written."""
        return self._answer(Job, "POST", f"{_job_url(job_id)}/cancel")

    def resume(self, job_id: str) -> Job:
        """Let a job that failed go on."""
        return self._answer(Job, "POST", f"{_job_url(job_id)}/resume")

    def undo(self, job_id: str) -> Job:
        """Take out the cases that a job added and that nobody changed since."""
        return self._answer(Job, "POST", f"{_job_url(job_id)}/undo")

    # --- the service -------------------------------------------------------------------------------------------

    def info(self) -> InfoAnswer:
        """The model, the base, and what can be asked."""
        return self._answer(InfoAnswer, "GET", f"{PREFIX}/info")

    def counts(self, field: str) -> ValueCounts:
        """The values that a field has in the base, most frequent first."""
        return self._answer(ValueCounts, "GET", f"{PREFIX}/fields/{quote(field, safe='')}")

    def map(self) -> MapAnswer:
        """The base on a plane."""
        return self._answer(MapAnswer, "GET", f"{PREFIX}/map")

    def duplicates(self) -> DuplicatesAnswer:
        """Cases that show the same image."""
        return self._answer(DuplicatesAnswer, "GET", f"{PREFIX}/duplicates")

    def ready(self) -> bool:
        """Whether searches can be answered now."""
        return self._http.get("/readyz").status_code == 200

    def _answer(self, kind: type[M], method: str, url: str, **arguments: Any) -> M:
        return kind.model_validate(self._ask(method, url, **arguments).json())

    def _ask(self, method: str, url: str, **arguments: Any) -> httpx.Response:
        response = self._http.request(method, url, **arguments)
        if response.is_success:
            return response
        try:
            problem = response.json()
        except ValueError:  # a proxy's own page
            problem = {"title": response.reason_phrase, "detail": response.text[:500]}
        after = response.headers.get("retry-after", "")
        raise ApiError(response.status_code, problem, float(after) if after.isdecimal() else None)


def _sent(ranking: Ranking) -> dict[str, Any]:
    asked: dict[str, Any] = dict(ranking)
    if isinstance(weights := asked.get("weights"), Weights):
        asked["weights"] = written(weights)
    where = asked.pop("where", ())
    if isinstance(where, Filter):
        asked["filter"] = where.model_dump(mode="json", exclude_none=True)["condition"]
    else:
        asked["where"] = where
    for name in ("where", "must", "exclude_case", "exclude_lesion", "exclude_patient"):
        if name in asked:
            asked[name] = [asked[name]] if isinstance(asked[name], str) else list(asked[name])
    return asked


def _as_form(asked: dict[str, Any]) -> dict[str, Any]:
    """The same for a form or an address, in which a tree of conditions is written as text."""
    return asked | ({"filter": json.dumps(asked["filter"])} if "filter" in asked else {})


def _job_url(job_id: str) -> str:
    return f"{PREFIX}/jobs/{quote(job_id, safe='')}"


def _fields(case: Described) -> dict[str, Any]:
    if isinstance(case, Case):
        case = CaseFields.of(case)
    given = case.model_dump(mode="json") if isinstance(case, CaseDescription) else dict(case)
    return {name: value for name, value in given.items() if value is not None}


def _bytes(image: str | Path | bytes) -> bytes:
    return image if isinstance(image, bytes) else Path(image).read_bytes()
