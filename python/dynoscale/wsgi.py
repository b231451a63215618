"""The wrapper for WSGI applications: Flask, Django, and any other."""

from dynoscale._native import DynoscaleWsgiApp

__all__ = ["DynoscaleWsgiApp"]
