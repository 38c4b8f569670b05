"""quietpixel takes the noise out of images with denoising autoencoders.

The public names are listed in ``__init__.pyi``. Each is imported when it is first used, so that
``import quietpixel`` takes a few milliseconds and denoising never imports the training libraries.

Examples
--------
>>> import quietpixel
>>> str(quietpixel.parse_noise("gaussian:0.5"))
'gaussian:0.5'
"""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
__all__.remove("cluster")  # an attribute, but no name for `from quietpixel import *`
