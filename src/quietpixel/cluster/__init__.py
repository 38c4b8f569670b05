"""Denoising of folders, large images and Dask arrays on the workers of a Dask cluster.

Everything here needs the extra ``cluster``; importing this package alone imports none of it.
"""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
