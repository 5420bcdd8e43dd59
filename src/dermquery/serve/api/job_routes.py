"""Many cases at once: a table with images, as one ZIP file or as single files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Form, Path, Request, Response, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from dermquery.answer.language import said
from dermquery.serve.api.common import Call, Handler, ScopedRoute, Writing, owner_of, problems, signed
from dermquery.serve.api.schemas import PREFIX, Out
from dermquery.serve.bundle import BundleError
from dermquery.serve.job_folder import Job
from dermquery.serve.security.identity import principal_of

__all__ = ["router"]


class _JobRoute(ScopedRoute):
    """A route whose uploads have their place on the disk before they are read."""

    def reading(self, handle: Handler) -> Handler:
        if self.operation_id != "submit":
            return handle

        async def budgeted(request: Request) -> Response:
            announced = request.headers.get("content-length")  # digits, or nobody would have let it through
            size = int(announced) if announced else request.app.state.settings.job_upload_bytes
            with request.app.state.service.jobs.budget.taken(owner_of(principal_of(request)), size):
                return await handle(request)

        return budgeted


router = APIRouter(prefix=f"{PREFIX}/jobs", tags=["jobs"], dependencies=signed, route_class=_JobRoute)
JobId = Annotated[str, Path(description="Id of a job.", max_length=100)]
_LOCATION = {"Location": {"description": "Address of the job.", "schema": {"type": "string"}}}


class JobForm(BaseModel):
    """A case table with its images; only `case_id` and `image` are required in it, and `image` names a file."""

    model_config = ConfigDict(extra="forbid")

    archive: Annotated[UploadFile | None, Field(description="ZIP file of a table (CSV or Parquet) and images.")] = None
    table: Annotated[UploadFile | None, Field(description="The table, if there is no archive.")] = None
    images: Annotated[tuple[UploadFile, ...], Field(description="The images, if there is no archive.")] = ()
    update: Annotated[bool, Field(description="Replace cases that are in the base already.")] = False
    skip_bad: Annotated[bool, Field(description="Leave out bad rows; otherwise nothing is taken if there are any.")] = (
        False
    )
    keep: Annotated[
        tuple[str, ...], Field(description="Columns of the table that are kept although they may name a person.")
    ] = ()


class JobList(Out):
    """Every job, the latest first."""

    jobs: tuple[Job, ...]


@router.post(
    "", operation_id="submit", status_code=202, responses={202: {"headers": _LOCATION}, **problems(400, 413, 422)}
)
async def submit(
    call: Writing,
    response: Response,
    form: Annotated[JobForm, Form(media_type="multipart/form-data")],
) -> Job:
    """Take many cases; the answer means that they are on disk and will be put in."""
    files = [(part.filename or "", part.file) for part in (form.table, *form.images) if part is not None]
    if (form.archive is None) != bool(files):
        raise BundleError("send either an archive, or a table and images")

    def work() -> Job:
        archive = None if form.archive is None else form.archive.file
        job = call.service.jobs.submit(
            call.who.name, archive, files, update=form.update, skip_bad=form.skip_bad, keep=form.keep
        )
        call.log("job", job=job.id, state=job.state, cases=job.total)
        return job

    job = await call.wait(call.service.intake.call(work))
    response.headers["Location"] = f"{call.root}{PREFIX}/jobs/{job.id}"
    return _told(job)


@router.get("", operation_id="jobs", responses=problems())
async def jobs(call: Writing) -> JobList:
    """Every job, the latest first."""
    return JobList(jobs=tuple(map(_told, call.service.jobs.all())))


@router.get("/{job_id}", operation_id="job", responses=problems(404, 422))
async def job(call: Writing, job_id: JobId) -> Job:
    """Where a job stands; what it says is done is on disk."""
    return _told(call.service.jobs.get(job_id))


@router.post("/{job_id}/cancel", operation_id="cancel", responses=problems(404, 409, 422))
async def cancel(call: Writing, job_id: JobId) -> Job:
    """Stop a job after the cases that are being written; what it has added stays."""
    return await _changed(call, job_id, "cancel", call.service.jobs.cancel)


@router.post("/{job_id}/resume", operation_id="resume", responses=problems(404, 409, 422))
async def resume(call: Writing, job_id: JobId) -> Job:
    """Let a job that failed go on where it stopped."""
    return await _changed(call, job_id, "resume", call.service.jobs.resume)


@router.post("/{job_id}/undo", operation_id="undo", responses=problems(404, 409, 422))
async def undo(call: Writing, job_id: JobId) -> Job:
    """Take out exactly the cases that a job added and that nobody changed since."""
    return await _changed(call, job_id, "undo", call.service.jobs.undo)


async def _changed(call: Call, job_id: str, what: str, change: Callable[[str], Job]) -> Job:
    """Change the state of a job, and log who did."""

    def work() -> Job:
        changed = change(job_id)
        call.log("job", job=job_id, state=what)
        return changed

    return _told(await call.wait(call.service.intake.call(work)))


def _told(job: Job) -> Job:
    """A job with what it says in the client's language."""
    bad = tuple(one.model_copy(update={"reason": said(one.reason)}) for one in job.bad)
    left_out = {name: said(why) for name, why in job.left_out.items()}
    told = {"message": said(job.message or "") or None, "notes": tuple(map(said, job.notes))}
    return job.model_copy(update={**told, "bad": bad, "left_out": left_out})
