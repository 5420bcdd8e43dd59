"""The description is complete, and the service does what it says."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks as openapi_checks

from dermquery.client import Client
from tests.serve.conftest import Served

ROOT = Path(__file__).parents[3]
METHODS = {"get", "post", "put", "delete", "patch"}


@pytest.fixture(scope="session")
def document(shared: Served) -> dict[str, Any]:
    answer: dict[str, Any] = httpx.get(f"{shared.url}/api/v1/openapi.json").json()
    return answer


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in METHODS
    ]


def test_every_operation_is_described_in_full(document: dict[str, Any]) -> None:
    assert len(operations(document)) == 26
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names)
    known = {tag["name"] for tag in document["tags"]}
    for path, method, operation in operations(document):
        where = f"{method} {path}"
        assert set(operation["tags"]) <= known, where
        assert operation["summary"], where
        assert operation["description"], where
        for parameter in operation.get("parameters", ()):
            assert parameter.get("description") or parameter["schema"], where
        for status, response in operation["responses"].items():
            assert response["description"], where
            if int(status) >= 400:
                schema = response["content"]["application/problem+json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/Problem"}, f"{where} {status}"
        if path.startswith("/api/"):
            assert {"401", "403", "429", "503"} <= operation["responses"].keys(), where
            assert operation["security"] == [{"ApiKey": []}, {"Bearer": []}], where
            for status in ("429", "503"):
                assert "Retry-After" in operation["responses"][status]["headers"]


def test_how_to_sign_in_is_described(document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]
    assert schemes["ApiKey"] | {"description": ""} == {
        "type": "apiKey", "in": "header", "name": "X-API-Key", "description": "",
    }  # fmt: skip
    assert (schemes["Bearer"]["type"], schemes["Bearer"]["scheme"]) == ("http", "bearer")


def test_every_reference_leads_somewhere_and_every_schema_is_described(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for name in set(re.findall(r"#/components/schemas/([\w.-]+)", str(document))):
        assert name in schemas
    for name, schema in schemas.items():
        assert schema.get("description"), name
    assert "probability" not in str(document).replace("is no probability", "")


def test_every_problem_is_explained_in_the_documentation(document: dict[str, Any]) -> None:
    from dermquery.serve import errors

    titles = {known.title for known in errors._KNOWN.values()}
    titles |= {"Table cannot be used", "Request cannot be read", "Not ready", "Unexpected error"}
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert [title for title in sorted(titles) if f"| {title} |" not in text] == []


CHECKS = [
    not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_headers_conformance,
    openapi_checks.response_schema_conformance,
    openapi_checks.negative_data_rejection,
    openapi_checks.unsupported_method,
]
GENERATED = settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.slow
def test_generated_requests_are_answered_as_described(shared: Served) -> None:
    """Legal and illegal requests, with made-up ids and with those of a case and a search that are there."""
    schema = schemathesis.openapi.from_url(f"{shared.url}/api/v1/openapi.json")
    answered: dict[str, set[int]] = {}

    def probe(operation: Any, mode: schemathesis.GenerationMode, known: dict[str, str] | None) -> None:
        @GENERATED
        @given(operation.as_strategy(generation_mode=mode, path_parameters=known))
        def ask(case: Any) -> None:
            for name in ("Authorization", "X-API-Key"):
                (case.headers or {}).pop(name, None)
            response = case.call()
            answered.setdefault(operation.label, set()).add(response.status_code)
            case.validate_response(response, checks=CHECKS)

        ask()

    with Client(shared.url) as client:
        key = client.search(shared.cases[0].image).search
    for found in schema.get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]
        parameters = {"key": key, "case_id": "case-001", "field": "site", "job_id": "none"}
        known = {name: value for name, value in parameters.items() if f"{{{name}}}" in operation.path}
        for mode in schemathesis.GenerationMode:
            with suppress(Unsatisfiable):  # nothing can be wrong with a request that takes nothing
                probe(operation, mode, None)
        if known and operation.method != "delete":
            probe(operation, schemathesis.GenerationMode.POSITIVE, known)
    assert len(answered) == len(operations(schema.raw_schema))
    succeeded = {label for label, statuses in answered.items() if min(statuses) < 400}
    assert succeeded >= {
        "POST /api/v1/searches/{key}", "POST /api/v1/cases/{case_id}/similar", "GET /api/v1/cases",
        "GET /api/v1/cases/{case_id}", "GET /api/v1/cases/{case_id}/image", "GET /api/v1/cases/{case_id}/thumbnail",
        "GET /api/v1/jobs", "GET /api/v1/info", "GET /api/v1/fields/{field}", "GET /metrics", "GET /readyz",
    }  # fmt: skip
