"""Objective, Lightning module and data module."""
