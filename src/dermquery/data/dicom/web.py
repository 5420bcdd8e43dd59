"""Reads a picture archive over DICOMweb: QIDO-RS to see what there is, WADO-RS to fetch it (PS3.18).

Nothing but what was asked for is followed: no redirect and no address within an answer, so neither the token nor a
request ever goes to another server. What an answer may hold is bounded, and what it says is checked before it becomes
part of the next address. dicomweb-client, which could do the requests, follows redirects, reads whole answers into
memory however long they are, and gives data sets where the import wants the object as it was stored.
"""

from __future__ import annotations

import datetime
import email.message
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

__all__ = ["DicomWebError", "Found", "WebArchive", "read_token"]

_UID = re.compile(r"[0-9][0-9.]{0,63}")
_STUDY, _SERIES, _INSTANCE, _MODALITY, _DATE = "0020000D", "0020000E", "00080018", "00080060", "00080020"
_LIST, _OBJECT = "application/dicom+json", 'multipart/related; type="application/dicom"; transfer-syntax=*'
_PAGE, _MOST_LISTED = 200, 1_000_000
_LIST_BYTES, _TOKEN_BYTES = 64 << 20, 64 << 10
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_WAITS = (0.5, 1.0, 2.0, 4.0)
_LONGEST_WAIT = 60.0
_LOCAL = frozenset({"127.0.0.1", "::1", "localhost"})


class DicomWebError(ValueError):
    """The archive cannot be read; the message names it and says what to do."""


class NoSuchObjectError(DicomWebError):
    """The archive no longer has an object, or may not give it away; others may still be fetched."""


@dataclass(frozen=True)
class Found:
    """An object of the archive by its UIDs."""

    study: str
    series: str
    instance: str

    @property
    def path(self) -> str:
        """Its address below the archive's."""
        return f"/studies/{self.study}/series/{self.series}/instances/{self.instance}"


def read_token(path: Path) -> str:
    """The value of the Authorization header from a file that holds a bearer token, or such a value (``Basic …``).

    Raises:
        DicomWebError: it holds no such thing; the message never quotes it.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        written = file.read(_TOKEN_BYTES).strip()
    if not written.isascii() or not written or any(sign < 0x20 or sign > 0x7E for sign in written):
        raise DicomWebError(f"{path} holds no token; it must be one line of letters, digits and signs")
    token = written.decode()
    return token if token.startswith(("Bearer ", "Basic ")) else f"Bearer {token}"


class WebArchive:
    """The DICOMweb services of one archive; a context that closes its connections.

    Args:
        url: their address, such as ``https://pacs.example.org/dicom-web``.
        authorization: value of that header; sent to this address only, and in clear text to this machine only.
        most_bytes: of one object.
        wait: sleeps between two attempts.

    Raises:
        DicomWebError: the address cannot be used.
    """

    def __init__(
        self,
        url: str,
        authorization: str | None = None,
        *,
        most_bytes: int = 512 << 20,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url, self._most, self._wait = _checked(url, secret=authorization is not None), most_bytes, wait
        headers = {"Accept-Encoding": "identity", "User-Agent": "dermquery"}
        if authorization is not None:
            headers["Authorization"] = authorization
        timeout = httpx.Timeout(60.0, connect=10.0)
        self._http = httpx.Client(headers=headers, timeout=timeout, follow_redirects=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._http.close()

    def objects(self, modalities: Sequence[str], since: datetime.date | None = None) -> Iterator[Found]:
        """Every object of series of some modalities, each once, in studies from a day on.

        Raises:
            DicomWebError: the archive cannot be reached, refuses, or answers with something else.
        """
        studies: dict[str, None] = {}
        for modality in modalities:
            asked = {"ModalitiesInStudy": modality} | ({} if since is None else {"StudyDate": f"{since:%Y%m%d}-"})
            for study in self._listed("/studies", _STUDY, asked):
                if since is None or (_value(study, _DATE) or f"{since:%Y%m%d}") >= f"{since:%Y%m%d}":
                    studies.setdefault(_uid(study, _STUDY))
        for study_uid in studies:
            for modality in modalities:
                yield from self._of_study(study_uid, modality)

    def _of_study(self, study: str, modality: str) -> Iterator[Found]:
        for entry in self._listed(f"/studies/{study}/series", _SERIES, {"Modality": modality}):
            if _value(entry, _MODALITY) not in (None, modality):
                continue  # a server that does not know the condition answers with all
            series = _uid(entry, _SERIES)
            for instance in self._listed(f"/studies/{study}/series/{series}/instances", _INSTANCE, {}):
                yield Found(study, series, _uid(instance, _INSTANCE))

    def fetch(self, found: Found) -> bytes:
        """An object as a DICOM file, in the encoding that it is stored in.

        Raises:
            NoSuchObjectError: this one cannot be had.
            DicomWebError: nothing can be had any more.
        """
        headers, body = self._get(found.path, {}, _OBJECT, self._most)
        kind = _content_type(headers)
        if kind.get_content_type() == "application/dicom":
            return body
        boundary = kind.get_param("boundary")
        if kind.get_content_type() != "multipart/related" or not isinstance(boundary, str):
            raise DicomWebError(f"{self.url} sends no DICOM object but {kind.get_content_type()}; is it DICOMweb?")
        return _only_part(body, boundary.encode())

    def _listed(self, path: str, key: str, asked: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
        """The entries of a list, a page at a time; a server that gives one page again has no more."""
        seen: set[str] = set()
        while len(seen) < _MOST_LISTED:
            page = {"limit": str(_PAGE), "offset": str(len(seen))}
            headers, body = self._get(path, {**asked, **page}, _LIST, _LIST_BYTES)
            entries = _entries(body, self.url)
            fresh = {uid: entry for entry in entries if (uid := _uid(entry, key)) not in seen}
            yield from fresh.values()
            seen.update(fresh)
            if not fresh or (len(entries) < _PAGE and "299" not in headers.get("warning", "")):
                return

    def _get(self, path: str, asked: Mapping[str, str], accept: str, most: int) -> tuple[httpx.Headers, bytes]:
        """Ask until there is an answer, a little later each time."""
        for wait in (*_WAITS, None):
            try:
                with self._http.stream("GET", self.url + path, params=asked, headers={"Accept": accept}) as answer:
                    if answer.status_code in (200, 204):
                        return answer.headers, self._body(answer, most)
                    if answer.status_code not in _AGAIN or wait is None:
                        raise self._refused(answer, single=accept == _OBJECT)
                    pause = max(wait, _seconds(answer.headers.get("retry-after", "")))
            except httpx.RequestError as error:
                if wait is None or isinstance(error, httpx.UnsupportedProtocol):
                    reason = str(error) or type(error).__name__
                    raise DicomWebError(f"{self.url} cannot be reached ({reason}); is the archive running?") from error
                pause = wait
            self._wait(pause)
        raise AssertionError  # the last attempt returns or raises

    @staticmethod
    def _body(answer: httpx.Response, most: int) -> bytes:
        body = bytearray()
        for chunk in answer.iter_bytes():
            body += chunk
            if len(body) > most:
                raise NoSuchObjectError(f"it has more than {most / (1 << 20):.4g} MiB; allow more by --most-mib")
        return bytes(body)

    def _refused(self, answer: httpx.Response, *, single: bool) -> DicomWebError:
        status = answer.status_code
        if answer.is_redirect:
            host = urlsplit(answer.headers.get("location", "")).netloc.rpartition("@")[2]
            where = f"to {host!r}" if host else "elsewhere"
            return DicomWebError(f"{self.url} sends us {where}, which is not followed; give the archive's own address")
        if status in (401, 403):
            return DicomWebError(f"{self.url} does not let us in ({status}); give a valid token by --token-file")
        if single:
            return NoSuchObjectError(f"the archive does not give it away ({status} {answer.reason_phrase})")
        return DicomWebError(
            f"{self.url} answers {status} {answer.reason_phrase}; give the address of its DICOMweb services, for "
            "example https://pacs.example.org/dicom-web"
        )


def _checked(url: str, *, secret: bool) -> str:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise DicomWebError(f"{url!r} is no address ({error}); write https://pacs.example.org/dicom-web") from error
    if "@" in parts.netloc:
        raise DicomWebError("the address holds a name or a password, which others can read; put it into --token-file")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise DicomWebError(f"{url!r} is no address of DICOMweb services; write https://pacs.example.org/dicom-web")
    if secret and parts.scheme == "http" and parts.hostname not in _LOCAL:
        raise DicomWebError(f"{url} would send the token readable for everybody on the way; use https")
    return url.rstrip("/")


def _entries(body: bytes, url: str) -> list[dict[str, Any]]:
    if not body.strip():
        return []  # 204
    try:
        entries = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise DicomWebError(f"{url} does not answer with DICOM's JSON; is it the address of DICOMweb?") from error
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise DicomWebError(f"{url} answers with other JSON than DICOM's; is it the address of DICOMweb?")
    return entries


def _value(entry: Mapping[str, Any], tag: str) -> str | None:
    """The first value of an attribute, if it is a word."""
    element = entry.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return values[0] if isinstance(values, list) and values and isinstance(values[0], str) else None


def _uid(entry: Mapping[str, Any], tag: str) -> str:
    uid = _value(entry, tag) or ""
    if not _UID.fullmatch(uid):
        raise DicomWebError(f"the archive lists an entry whose UID ({tag}) is missing or no UID; ask who runs it")
    return uid


def _content_type(headers: httpx.Headers) -> email.message.Message:
    message = email.message.Message()
    message["Content-Type"] = headers.get("content-type", "application/octet-stream")
    return message


def _only_part(body: bytes, boundary: bytes) -> bytes:
    """The content of the first part of a multipart body; there is one for one object."""
    begin = body.find(b"--" + boundary)
    content = body.find(b"\r\n\r\n", begin)
    end = body.find(b"\r\n--" + boundary, content)
    if begin < 0 or content < 0 or end < 0:
        raise NoSuchObjectError("it was cut off on the way")
    return body[content + 4 : end]


def _seconds(written: str) -> float:
    return min(float(written), _LONGEST_WAIT) if written.isdecimal() and len(written) < 10 else 0.0
