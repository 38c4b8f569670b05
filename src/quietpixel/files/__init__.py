"""Image files: reading and writing them with everything they carry, and listing folders."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
