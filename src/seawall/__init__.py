"""Seawall: will the service stand when the wave hits?"""

__version__ = "0.1.0"
