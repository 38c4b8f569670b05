"""One image in, one image out: pixels, depth, alpha, profile, metadata; and listing folders."""

from quietpixel.files.atomic import atomic_file, is_temporary, remove_leftovers
from quietpixel.files.formats import FORMATS, Format, find_format, format_of_name, sniff
from quietpixel.files.picture import Encoding, Metadata, Picture
from quietpixel.files.read import read_picture
from quietpixel.files.write import check_writable, choose_format, write_picture

__all__ = [
    "FORMATS",
    "Encoding",
    "Format",
    "Metadata",
    "Picture",
    "atomic_file",
    "check_writable",
    "choose_format",
    "find_format",
    "format_of_name",
    "is_temporary",
    "read_picture",
    "remove_leftovers",
    "sniff",
    "write_picture",
]
