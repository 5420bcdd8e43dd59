"""The case base: manifest, store, ingest, filters, search and the result sheet."""

from dermquery.store.base_manifest import Manifest, ManifestError, ModelMismatchError
from dermquery.store.casebase import CaseBase, EmptyBaseError, QueryError
from dermquery.store.filters import Filter, FilterError
from dermquery.store.hits import RESEARCH_USE, Hit, SearchResult
from dermquery.store.ingest import BadImage, IngestProgress, IngestReport, index_cases
from dermquery.store.matching import matches
from dermquery.store.protocol import CaseStore, Encoder
from dermquery.store.where import parse_where

__all__ = [
    "RESEARCH_USE",
    "BadImage",
    "CaseBase",
    "CaseStore",
    "EmptyBaseError",
    "Encoder",
    "Filter",
    "FilterError",
    "Hit",
    "IngestProgress",
    "IngestReport",
    "Manifest",
    "ManifestError",
    "ModelMismatchError",
    "QueryError",
    "SearchResult",
    "index_cases",
    "matches",
    "parse_where",
]
