"""OpenML on loopback: as much of its API as scikit-learn asks for one data set, over real HTTP."""

import gzip
import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.datasets import _openml as sklearn_openml

_ADDRESSES = ("_SEARCH_NAME", "_DATA_INFO", "_DATA_FEATURES", "_DATA_QUALITIES")
_HOME = "https://www.openml.org"


class OpenML(ThreadingHTTPServer):
    """Answers for version 1 of one data set of images, numbered 554, whose target is `class`.

    Args:
        name: of the data set.
        pixels: uint8 [rows, values].
        labels: [rows].
    """

    def __init__(self, name: str, pixels: npt.NDArray[np.uint8], labels: npt.NDArray[np.integer]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.asked: list[str] = []
        """Paths that were fetched."""
        columns = [f"pixel{i + 1}" for i in range(pixels.shape[1])]
        self.file = gzip.compress(_arff(name, columns, pixels, labels), 1)
        self.sent_bytes = len(self.file)
        """How much of the file is sent before the connection breaks."""
        self.silence_seconds = 0.0
        """Before each answer."""
        about = {"id": "554", "name": name, "version": "1", "status": "active", "format": "ARFF", "description": name}
        about |= {"md5_checksum": hashlib.md5(gzip.decompress(self.file)).hexdigest()}
        about |= {"url": f"{self.address}/data/v1/download/52667/{name}.arff"}
        flags = {"is_ignore": "false", "is_row_identifier": "false", "number_of_missing_values": "0"}
        features = [
            {"index": str(i), "name": column, "data_type": "numeric", "is_target": "false", **flags}
            for i, column in enumerate(columns)
        ]
        target = {"index": str(len(columns)), "name": "class", "data_type": "nominal", "is_target": "true", **flags}
        self.pages = {
            f"/api/v1/json/data/list/data_name/{name}/limit/2/data_version/1": {"data": {"dataset": [{"did": 554}]}},
            "/api/v1/json/data/554": {"data_set_description": about},
            "/api/v1/json/data/features/554": {"data_features": {"feature": [*features, target]}},
            "/api/v1/json/data/qualities/554": {
                "data_qualities": {"quality": [{"name": "NumberOfInstances", "value": str(float(len(pixels)))}]}
            },
        }


class _Handler(BaseHTTPRequestHandler):
    server: OpenML

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        time.sleep(self.server.silence_seconds)
        page = self.server.pages.get(self.path)
        if page is not None:
            self._send(200, gzip.compress(json.dumps(page).encode()))
        elif self.path.endswith(".arff"):
            self._send(200, self.server.file, self.server.sent_bytes)
        else:
            self._send(412, gzip.compress(b'{"error": {"code": "372", "message": "No results"}}'))

    def handle(self) -> None:
        with suppress(ConnectionError):  # the other end may have gone
            super().handle()

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def _send(self, code: int, content: bytes, sent_bytes: int | None = None) -> None:
        self.send_response(code)
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:sent_bytes])


@contextmanager
def openml(
    name: str, pixels: npt.NDArray[np.uint8], labels: npt.NDArray[np.integer], patch: pytest.MonkeyPatch
) -> Iterator[OpenML]:
    """Serves a data set where scikit-learn looks for OpenML."""
    with OpenML(name, pixels, labels) as server:
        for constant in _ADDRESSES:
            address = getattr(sklearn_openml, constant)
            patch.setattr(sklearn_openml, constant, address.replace(_HOME, server.address))
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


def _arff(name: str, columns: list[str], pixels: npt.NDArray[np.uint8], labels: npt.NDArray[np.integer]) -> bytes:
    kinds = ",".join(map(str, range(10)))
    head = [f"@RELATION {name}", *(f"@ATTRIBUTE {column} real" for column in columns), f"@ATTRIBUTE class {{{kinds}}}"]
    rows = (f"{','.join(map(str, row.tolist()))},{label}" for row, label in zip(pixels, labels, strict=True))
    return "\n".join([*head, "@DATA", *rows, ""]).encode()
