"""The operator rules, a file for each family; importing this imports, and so registers, them all."""

from importlib import import_module
from pkgutil import iter_modules

for _file in iter_modules(__path__, f"{__name__}."):
    import_module(_file.name)
