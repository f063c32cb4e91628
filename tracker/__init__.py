"""The desktop tracker: reports time, takes frames at the moments of rule 2.3, and loses nothing on the way."""

__version__ = "0.1.0"
