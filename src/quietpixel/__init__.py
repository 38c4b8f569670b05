"""quietpixel takes the noise out of images with denoising autoencoders.

The public names are listed in ``__init__.pyi``. Each is imported when it is first used, so that
``import quietpixel`` takes a few milliseconds and denoising never imports the training libraries.

Examples
--------
>>> import quietpixel
>>> str(quietpixel.parse_noise("gaussian:0.5"))
'gaussian:0.5'
"""


def __getattr__(name: str) -> object:
    # Imported only now, because it takes most of the time before a command can handle Ctrl-C.
    from lazy_loader import attach_stub

    get, listing, names = attach_stub(__name__, __file__)
    names.remove("cluster")  # an attribute, but no name for `from quietpixel import *`
    globals().update(__getattr__=get, __dir__=listing, __all__=names)
    return names if name == "__all__" else get(name)


def __dir__() -> list[str]:
    return list(__getattr__("__all__"))
