"""Image files: reading and writing them with everything they carry, and listing folders."""

from quietpixel.files.atomic import (
    abandon,
    atomic_file,
    refuse_backup,
    refuse_existing,
    remove_leftovers,
)
from quietpixel.files.formats import FORMATS, find_format, format_of_name, writable_formats
from quietpixel.files.image_format import Format, Size
from quietpixel.files.listing import (
    Job,
    Listing,
    SkippedFile,
    list_images,
    plan_jobs,
    refuse_collisions,
)
from quietpixel.files.mark import MARK, Content, inspect_content, mark_as_result, mark_xmp
from quietpixel.files.picture import Encoding, Metadata, Picture
from quietpixel.files.read import (
    check_readable,
    read_picture,
    read_size,
    refuse_loss,
    split_name,
)
from quietpixel.files.write import (
    check_target,
    check_writable,
    choose_format,
    copy_file,
    turn_page,
    turn_upright,
    write_picture,
)

__all__ = [
    "FORMATS",
    "MARK",
    "Content",
    "Encoding",
    "Format",
    "Job",
    "Listing",
    "Metadata",
    "Picture",
    "Size",
    "SkippedFile",
    "abandon",
    "atomic_file",
    "check_readable",
    "check_target",
    "check_writable",
    "choose_format",
    "copy_file",
    "find_format",
    "format_of_name",
    "inspect_content",
    "list_images",
    "mark_as_result",
    "mark_xmp",
    "plan_jobs",
    "refuse_collisions",
    "read_picture",
    "read_size",
    "refuse_backup",
    "refuse_existing",
    "refuse_loss",
    "remove_leftovers",
    "split_name",
    "turn_page",
    "turn_upright",
    "writable_formats",
    "write_picture",
]
