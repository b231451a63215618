"""Hooks for app servers."""
