"""The HTTP API, version 1: ``/api/v1``, JSON answers, RFC 9457 problems, described by OpenAPI."""
