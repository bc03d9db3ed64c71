"""Files are refused: no page takes any, and nobody is to fill the disk of the machine with them."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import FileUploadHandler


class NoFiles(FileUploadHandler):
    """The request ends with 400 where a file begins."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        raise RequestDataTooBig("A file was sent, and no page takes files.")

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        return raw_data

    def file_complete(self, file_size: int) -> None:
        return None
