"""Metrics, protocols, significance, tables and figures."""
