"""Gives each parameter of the reference its own type and default.

Where a docstring describes several parameters together, griffe gives them those of the first.
"""

from typing import Any

import griffe


class ParameterTypes(griffe.Extension):
    """Takes types and defaults of parameters from the signature, name by name."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Correct all functions and classes of a package once it is loaded."""
        for module in [pkg, *pkg.modules.values()]:
            correct(module)


def correct(parent: griffe.Object) -> None:
    for member in parent.members.values():
        if member.is_alias:
            continue
        if isinstance(member, griffe.Module | griffe.Class):
            correct(member)
        if isinstance(member, griffe.Function | griffe.Class) and member.docstring:
            signature = {parameter.name: parameter for parameter in member.parameters}
            for section in member.docstring.parsed:
                if section.kind is griffe.DocstringSectionKind.parameters:
                    for item in section.value:
                        known = signature.get(item.name.lstrip("*"))
                        item.annotation = known.annotation if known else None
                        item.value = known.default if known else None
