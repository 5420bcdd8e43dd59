"""The index of a collection's vectors: one list that every search reads whole, or an inverted file of many."""

from __future__ import annotations

import math
import time
from typing import Any

from dermquery.store.milvus.connection import TranslatedClient
from dermquery.store.protocol import check_indexable

__all__ = ["REMEMBERED_SECONDS", "ListIndex"]

_MOST_LISTS = 65_536
REMEMBERED_SECONDS = 60.0
"""How long an answer of the server stands that another process may make old, and that is dear to ask for."""


class ListIndex:
    """What the server says of its index, and building a better one.

    Args:
        client: of the server.
        collection: its name or alias.
    """

    def __init__(self, client: TranslatedClient, collection: str) -> None:
        self._client, self._collection = client, collection
        self._known: dict[str, Any] | None = None
        self._looked = -math.inf

    def forget(self) -> None:
        """Look again at the next question: another process may have built one."""
        self._known = None

    @property
    def is_flat(self) -> bool:
        """Whether every search reads all vectors."""
        return str(self._described().get("index_type", "FLAT")) == "FLAT"

    def probes(self, *, exact: bool = False) -> int:
        """Lists that a search reads: half of them, and all if ``exact`` or where none are known of.

        Another process may have built them since the look; to the list that every search reads whole, it is all one.
        """
        lists = None if exact else self._described().get("nlist")
        return _MOST_LISTS if lists is None else max(1, int(lists) // 2)

    def build(self, n: int) -> None:
        """Build an inverted file (IVF_FLAT) for ``n`` cases in place of the list that every search reads whole.

        Every segment has one, the server extends it to new rows, and it answers exactly when all lists are read.
        Searches wait while the collection is loaded again.

        Raises:
            ValueError: for too few rows.
        """
        check_indexable(n)
        client = self._client
        client.flush(self._collection)
        lists = max(16, min(_MOST_LISTS, 2 ** round(math.log2(4 * math.sqrt(n)))))
        params = client.prepare_index_params()
        params.add_index("vector", index_type="IVF_FLAT", metric_type="IP", params={"nlist": lists})
        client.release_collection(self._collection)
        try:
            client.drop_index(self._collection, "vector")
            client.create_index(self._collection, params)
        finally:
            client.load_collection(self._collection)
        self.forget()

    def _described(self) -> dict[str, Any]:
        """The index, looked up once a minute."""
        if self._known is None or time.monotonic() - self._looked > REMEMBERED_SECONDS:
            self._known = dict(self._client.describe_index(self._collection, "vector") or {})
            self._looked = time.monotonic()
        return self._known
