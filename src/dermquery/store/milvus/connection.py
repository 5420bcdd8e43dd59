"""The connection to a Milvus server: its errors as one of ours, and a collection that can be searched."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import Any

__all__ = ["CERTIFICATE_VARIABLE", "TOKEN_VARIABLE", "StoreError", "TranslatedClient", "connected", "make_searchable"]

TOKEN_VARIABLE, CERTIFICATE_VARIABLE = "DERMQUERY_MILVUS_TOKEN", "DERMQUERY_MILVUS_CA"


class StoreError(OSError):
    """A server did not do what it was asked to; the message says what, why and the remedy."""


class TranslatedClient:
    """A ``pymilvus.MilvusClient`` whose failures, of the server or of the line to it, are :class:`StoreError`."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._failures = (import_module("pymilvus").MilvusException, import_module("grpc").RpcError)

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._client, name)
        return self._translated(name, attribute) if callable(attribute) else attribute

    def _translated(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def call(*args: Any, **options: Any) -> Any:
            try:
                return method(*args, **options)
            except self._failures as error:
                reason = getattr(error, "message", None) or str(error)
                raise StoreError(
                    f"the Milvus server did not {name.replace('_', ' ')} ({reason}); check that it runs, has disk and "
                    f"memory left and that {TOKEN_VARIABLE} may do this, then try again"
                ) from error

        return call


def connected(server: str, *, tls: bool) -> TranslatedClient:
    """A client of the server at ``host:port``, with token and certificate authority from the environment.

    Raises:
        ModuleNotFoundError: pymilvus is not installed.
        StoreError: nobody answers, or not to this token.
    """
    try:
        from pymilvus import MilvusClient, MilvusException
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"milvus://{server} needs pymilvus: pip install 'dermquery[milvus]'") from error
    secure = {"server_pem_path": os.environ[CERTIFICATE_VARIABLE]} if CERTIFICATE_VARIABLE in os.environ else {}
    uri, token = f"{'https' if tls else 'http'}://{server}", os.environ.get(TOKEN_VARIABLE, "")
    try:
        return TranslatedClient(MilvusClient(uri=uri, token=token, timeout=10, **secure))
    except MilvusException as error:
        raise StoreError(
            f"no Milvus server answers at {server} ({error.message}); check host, port, ?tls=true and {TOKEN_VARIABLE}"
        ) from error


def make_searchable(client: Any, collection: str) -> None:
    """Give a collection the index and the place in memory that a build that was killed took from it.

    The index is the list that every search reads whole; the next ``compact`` builds a better one if there are many
    rows. Of a collection that has both, nothing is changed.
    """
    from pymilvus.client.types import LoadState

    if not client.list_indexes(collection, field_name="vector"):
        index = client.prepare_index_params()
        index.add_index("vector", index_type="FLAT", metric_type="IP")
        client.create_index(collection, index)
    if client.get_load_state(collection)["state"] != LoadState.Loaded:
        client.load_collection(collection)
