"""Verbs: the methods of a blocking client, each written down once. Subclasses say who answers.

`Client` asks a server. `Local`, which comes with the extra `serving`, runs a package in this process.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, Self, Unpack

import numpy.typing as npt

from vaeserve.client import calls
from vaeserve.client.call import PreparedCall, Reply, Result
from vaeserve.client.description import Model
from vaeserve.client.options import DecodeOptions, EncodeOptions, ReconstructOptions, SampleOptions
from vaeserve.client.results import Decoded, Encoded, Reconstructed, Sampled
from vaeserve.client.samples import Samples
from vaeserve.client.stream_jobs import StreamJob, decode_job, encode_job, reconstruct_job


class BlockingVerbs(ABC):
    """What can be asked of a model, with arguments checked and results joined in the same way whoever answers."""

    def encode(
        self, data: npt.ArrayLike, *, timeout_seconds: float | None = None, **options: Unpack[EncodeOptions]
    ) -> Encoded:
        """Encodes rows of data into latents.

        Args:
            data: [rows, *Model.data.shape], every value in [minimum, maximum]; converted to the model's element type
                where that loses nothing. Or a sequence of bytes, each a PNG, JPEG or WebP file of the model's size.
                If the model takes pictures of many sizes, those of one call have one of them.
            output: the posterior's "mean", a "sample" of it, or "moments": mean and log-variance. Or "codes", if the
                model has such: they are answered alone, and `latent` of the result is made of them here.
            seed: of a sample, in [0, 2^64 - 1]; None: picked at random, and part of the result.
            first_row: number of the first row, in [0, 2^63 - rows]; row k of a sample draws the noise of first_row + k.
            fit: what is done to images of a size that the model does not take, if it takes many: "exact", they are
                refused; "crop", the middle is cut out; "pad", the last row and column are repeated. `places` of the
                result says where each image lies.
            dtype: "float32" or "float16", of floating-point arrays in the result; float16 travels in half the bytes.
            model: name; empty: the only model.
            version: 1 or more; 0: the newest.
            timeout_seconds: deadline of each request, including retries; None: the client's own.

        Raises:
            InvalidInput: an option is out of range, or the data does not fit the model.
            CallError: the server or the network answered with an error, or the client is closed.
        """
        return self._call(calls.encode(data, **options), timeout_seconds)

    def decode(
        self, latent: npt.ArrayLike | Encoded, *, timeout_seconds: float | None = None, **options: Unpack[DecodeOptions]
    ) -> Decoded:
        """Decodes latents into data.

        Args:
            latent: [rows, *Model.latent_shape], or what `encode` returned; float16 is sent as it is, in half the bytes.
            codes: whether the rows are codes, whole numbers below `Model.codes.levels`. None: whether an `Encoded` has
                such; an array's rows are latents.
            output: "data", rounded and clipped to the data's type; the likelihood's "expectation"; or "png", the data
                as files.
            fingerprint: the pair that must decode. None: for an `Encoded` the pair that it came from, for an array any
                pair.
            dtype: "float32" or "float16", of floating-point arrays in the result; float16 travels in half the bytes.
            model: name; empty: the only model.
            version: 1 or more; 0: the newest.
            timeout_seconds: deadline of each request, including retries; None: the client's own.

        Raises:
            InvalidInput: an option is out of range, or the latents do not fit the model.
            CallError: the server or the network answered with an error, FAILED_PRECONDITION if it serves another pair;
                or the client is closed.
        """
        return self._call(calls.decode(latent, **options), timeout_seconds)

    def sample(self, count: int, *, timeout_seconds: float | None = None, **options: Unpack[SampleOptions]) -> Sampled:
        """Draws rows first_row to first_row + count - 1 of a seed from a prior, and decodes them.

        Args:
            count: number of rows, 1 or more.
            seed: in [0, 2^64 - 1]; None: picked at random, and part of the result.
            first_row: in [0, 2^63 - count]. Rows are addressed: (seed, row) gives the same latent in every call.
            temperature: factor on the standard deviation of the noise, in (0, 1e6]; None: 1.
            prior: name; empty: the model's default.
            size: (height, width) of the pictures, if the model takes many sizes; None: the model's default.
            output: "data", rounded and clipped to the data's type; the likelihood's "expectation"; or "png", the data
                as files.
            include_latent: whether the result has the latents too.
            dtype: "float32" or "float16", of floating-point arrays in the result; float16 travels in half the bytes.
            model: name; empty: the only model.
            version: 1 or more; 0: the newest.
            timeout_seconds: deadline of each request, including retries; None: the client's own.

        Raises:
            InvalidInput: an option is out of range.
            CallError: the server or the network answered with an error, or the client is closed.
        """
        return self._call(calls.sample(count, **options), timeout_seconds)

    def reconstruct(
        self, data: npt.ArrayLike, *, timeout_seconds: float | None = None, **options: Unpack[ReconstructOptions]
    ) -> Reconstructed:
        """Encodes rows of data, decodes them again, and scores each: how unusual it is for the model.

        Args:
            data: as `encode` takes it.
            latent: which latent to decode: the posterior's "mean", or a "sample" of it.
            seed: of a sample, in [0, 2^64 - 1]; None: picked at random, and part of the result.
            first_row: number of the first row, as in `encode`.
            fit: as in `encode`.
            output: "data", rounded and clipped to the data's type; the likelihood's "expectation"; or "png", the data
                as files.
            dtype: as in `encode`; the scores are float32.
            model: name; empty: the only model.
            version: 1 or more; 0: the newest.
            timeout_seconds: deadline of each request, including retries; None: the client's own.

        Raises:
            InvalidInput: the data or an option does not fit the model.
            CallError: the server or the network answered with an error, or the client is closed.
        """
        return self._call(calls.reconstruct(data, **options), timeout_seconds)

    def encode_stream(
        self,
        batches: Iterable[npt.ArrayLike],
        *,
        timeout_seconds: float | None = None,
        **options: Unpack[EncodeOptions],
    ) -> Iterator[Encoded]:
        """Encodes any number of batches, each as `encode` does, and yields their results in order.

        Batches are read some way ahead of the results. A broken connection is opened again, and calls without an answer
        are sent again. A wrong batch raises in its turn, after the results of the batches before it.

        Args:
            batches: arrays, each as `encode` takes it.
            timeout_seconds: maximum time without any answer, broken connections included; None: the client's own.
            **options: as of `encode`. One seed serves all batches, and a sample counts its rows on from batch to batch.

        Raises:
            InvalidInput: an option is out of range, or a batch does not fit the model.
            CallError: as `encode` does.
        """
        return self._converse(encode_job(**options), batches, timeout_seconds)

    def decode_stream(
        self,
        batches: Iterable[npt.ArrayLike | Encoded],
        *,
        timeout_seconds: float | None = None,
        **options: Unpack[DecodeOptions],
    ) -> Iterator[Decoded]:
        """Decodes any number of batches, each as `decode` does, and yields their results in order.

        Args:
            batches: latents, each as `decode` takes them. See `encode_stream`.
            timeout_seconds: as of `encode_stream`.
            **options: as of `decode`.

        Raises:
            InvalidInput: an option is out of range, or a batch does not fit the model.
            CallError: as `decode` does.
        """
        return self._converse(decode_job(**options), batches, timeout_seconds)

    def reconstruct_stream(
        self,
        batches: Iterable[npt.ArrayLike],
        *,
        timeout_seconds: float | None = None,
        **options: Unpack[ReconstructOptions],
    ) -> Iterator[Reconstructed]:
        """Reconstructs and scores any number of batches, each as `reconstruct` does, and yields results in order.

        Args:
            batches: arrays, each as `reconstruct` takes it. See `encode_stream`.
            timeout_seconds: as of `encode_stream`.
            **options: as of `reconstruct`. One seed serves all batches, and a sample counts on from batch to batch.

        Raises:
            InvalidInput: an option is out of range, or a batch does not fit the model.
            CallError: as `reconstruct` does.
        """
        return self._converse(reconstruct_job(**options), batches, timeout_seconds)

    def sample_stream(
        self,
        count: int,
        *,
        message_rows: int = 0,
        timeout_seconds: float | None = None,
        **options: Unpack[SampleOptions],
    ) -> Iterator[Sampled]:
        """Draws any number of rows as `sample` does, and yields them in order, some at a time.

        Args:
            count: number of rows, 1 or more.
            message_rows: maximum number of rows in one result; 0: chosen by the server.
            timeout_seconds: as of `encode_stream`.
            **options: as of `sample`.

        Raises:
            InvalidInput: an option is out of range.
            CallError: as `sample` does.
        """
        samples = Samples(count, message_rows, **options)
        return self._draw(samples, timeout_seconds)

    @abstractmethod
    def get_model(self, model: str = "", version: int = 0, *, timeout_seconds: float | None = None) -> Model:
        """Describes one model, as it is now. Empty and 0: the only model and its newest version."""

    @abstractmethod
    def list_models(self, *, timeout_seconds: float | None = None) -> list[Model]:
        """Describes every model, ordered by name, then version."""

    @abstractmethod
    def close(self) -> None:
        """Ends; calls in progress and later ones fail with CANCELLED."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def _call(self, call: PreparedCall[Reply, Result], timeout_seconds: float | None) -> Result:
        """Returns the result of a call."""

    @abstractmethod
    def _converse(
        self, job: StreamJob[Reply, Result], batches: Iterable[Any], timeout_seconds: float | None
    ) -> Iterator[Result]:
        """Returns the results of a job's batches, in order."""

    @abstractmethod
    def _draw(self, samples: Samples, timeout_seconds: float | None) -> Iterator[Sampled]:
        """Returns rows of a prior, some at a time."""
