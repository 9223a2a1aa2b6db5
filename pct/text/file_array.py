"""An array in a file, of which only the values that are read are in memory."""

from __future__ import annotations

import mmap
import os
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class FileArray:
    """A one-dimensional array in a file, for corpora that are larger than the memory should be.

    Each access maps the file, copies the values and ends the mapping, so that pages of the file do not count as memory
    of the process. numpy's functions take it as an array of all values. Pickled, it holds the values: Ray's object
    store then has one copy for all processes of a node.

    Args:
        source: the file, open for reading, or the values. The file may have been deleted since, except on Windows.
        stored: the type of the values in the file.
        dtype: the type of the values that an access returns; None for the same.
    """

    def __init__(self, source: BinaryIO | Array, stored: npt.DTypeLike, dtype: npt.DTypeLike | None = None) -> None:
        self._source, self._stored = source, np.dtype(stored)
        self.dtype = self._stored if dtype is None else np.dtype(dtype)
        self.nbytes = source.nbytes if isinstance(source, np.ndarray) else os.fstat(source.fileno()).st_size

    def values(self) -> Array:
        """(values,) all values, as they are stored. They are mapped as long as the result exists."""
        if isinstance(self._source, np.ndarray):
            return self._source
        if not self.nbytes:  # an empty file cannot be mapped
            return np.empty(0, self._stored)
        return np.frombuffer(mmap.mmap(self._source.fileno(), 0, access=mmap.ACCESS_READ), self._stored)

    def __len__(self) -> int:
        return self.nbytes // self._stored.itemsize

    def __getitem__(self, index: Any) -> Array:
        chosen = self.values()[index]
        return chosen.astype(self.dtype, copy=chosen.base is not None)  # a view would keep the file mapped

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        return np.array(self.values(), self.dtype if dtype is None else dtype)

    def __reduce__(self) -> tuple[Any, ...]:
        return FileArray, (self.values(), self._stored, self.dtype)
