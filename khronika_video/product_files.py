"""Files of the product that are not Python: the Procfile and the folder ``web``.

A checkout has them beside the packages. A wheel has them inside this package, because a folder
``web`` beside the packages could be another distribution's.
"""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
PACKED = "files"
"""The folder of this package that a wheel has them in."""
MODULES = _PACKAGE.parent
"""The folder that our packages are imported from."""
IS_CHECKOUT = not (_PACKAGE / PACKED).is_dir()
"""True in a checkout and for an editable install of one."""


def product_file(name: str) -> Path:
    """Return the path of a file or folder of the product, such as ``Procfile``."""
    return (MODULES if IS_CHECKOUT else _PACKAGE / PACKED) / name
