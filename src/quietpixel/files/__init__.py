"""One image in, one image out: pixels, depth, alpha, profile, metadata; and listing folders."""

from quietpixel.files.atomic import (
    abandon,
    atomic_file,
    is_temporary,
    refuse_existing,
    remove_leftovers,
)
from quietpixel.files.formats import FORMATS, Format, find_format, format_of_name, sniff
from quietpixel.files.listing import Job, Listing, list_images, plan_jobs, refuse_collisions
from quietpixel.files.picture import Encoding, Metadata, Picture
from quietpixel.files.read import check_readable, read_picture
from quietpixel.files.write import (
    check_writable,
    choose_format,
    turn_page,
    turn_upright,
    write_picture,
)

__all__ = [
    "FORMATS",
    "Encoding",
    "Format",
    "Job",
    "Listing",
    "Metadata",
    "Picture",
    "abandon",
    "atomic_file",
    "check_readable",
    "check_writable",
    "choose_format",
    "find_format",
    "format_of_name",
    "is_temporary",
    "list_images",
    "plan_jobs",
    "refuse_collisions",
    "read_picture",
    "refuse_existing",
    "remove_leftovers",
    "sniff",
    "turn_page",
    "turn_upright",
    "write_picture",
]
