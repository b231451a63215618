"""Hooks for app servers that have some."""
