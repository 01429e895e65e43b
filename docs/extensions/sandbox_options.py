"""Griffe extension: show the fields of ``Options`` as the keyword arguments of ``Sandbox`` that they are."""

from __future__ import annotations

from typing import Any

from griffe import Attribute, Class, ExprCall, Extension, Function, Module, Parameter, ParameterKind, Parameters


def to_parameter(option: Attribute) -> Parameter:
    """
    Convert a field.

    :param option: The field; its value is the default, or a call whose first argument is the default.
    :return: The keyword argument.
    """
    default = option.value.arguments[0] if isinstance(option.value, ExprCall) else option.value
    return Parameter(option.name, annotation=option.annotation, kind=ParameterKind.keyword_only, default=default)


class SandboxOptions(Extension):
    """Writes the options into the signature of ``Sandbox``."""

    def on_package(self, *, pkg: Module, **_: Any) -> None:
        """Change the signature when all modules are loaded."""
        options, sandbox = pkg["sandbox.options.Options"], pkg["sandbox.server.Sandbox"]
        assert isinstance(options, Class)
        init = sandbox["__init__"]
        assert isinstance(init, Function)
        fields = [field for field in options.attributes.values() if field.annotation and "property" not in field.labels]
        init.parameters = Parameters(init.parameters[0], *map(to_parameter, fields))
