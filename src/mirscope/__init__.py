"""mirscope: microRNA biology by deep learning."""

from importlib.metadata import version

__version__ = version("mirscope")
