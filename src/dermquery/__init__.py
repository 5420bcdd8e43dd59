"""Case search for skin cancer: composed image-and-text queries over confirmed dermoscopy cases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dermquery.data.case import Case, Query
    from dermquery.model.load import load_model
    from dermquery.model.parts import Weights
    from dermquery.store.casebase import CaseBase
    from dermquery.store.estimator import CaseNeighbors
    from dermquery.store.hits import Hit, SearchResult

__version__ = "0.2.0"
__all__ = ["Case", "CaseBase", "CaseNeighbors", "Hit", "Query", "SearchResult", "Weights", "__version__", "load_model"]

_HOMES = {
    "Case": "dermquery.data.case",
    "CaseBase": "dermquery.store.casebase",
    "CaseNeighbors": "dermquery.store.estimator",
    "Hit": "dermquery.store.hits",
    "Query": "dermquery.data.case",
    "SearchResult": "dermquery.store.hits",
    "Weights": "dermquery.model.parts",
    "load_model": "dermquery.model.load",
}


def __getattr__(name: str) -> Any:
    """Import the public names on first use, so that `import dermquery` and `--help` stay fast."""
    if name not in _HOMES:
        raise AttributeError(f"module 'dermquery' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
