"""PEP 517 backend: setuptools, plus the C runtime built through cffi.

`cffi_modules` can only be given to `setuptools.setup()`; this backend passes it, so the
project needs no `setup.py`.
"""

import setuptools
from setuptools import build_meta


class _Backend(build_meta._BuildMetaBackend):  # type: ignore[misc]
    def run_setup(self, setup_script: str = "setup.py") -> None:
        setuptools.setup(cffi_modules=["runtime_c/bindings.py:ffibuilder"])


_backend = _Backend()
get_requires_for_build_wheel = _backend.get_requires_for_build_wheel
get_requires_for_build_editable = _backend.get_requires_for_build_editable
prepare_metadata_for_build_wheel = _backend.prepare_metadata_for_build_wheel
prepare_metadata_for_build_editable = _backend.prepare_metadata_for_build_editable
build_wheel = _backend.build_wheel
build_editable = _backend.build_editable
build_sdist = _backend.build_sdist
