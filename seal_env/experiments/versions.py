"""Versions of the packages that results depend on."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

RECORDED_PACKAGES = ("seal-env", "torch", "transformers", "peft", "gymnasium", "numpy", "tokenizers")


def package_versions() -> dict[str, str]:
    """Version by package, Python's own first; "not installed" where one is missing."""
    found = {"python": platform.python_version()}
    for package in RECORDED_PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
