"""Source -> Dataset."""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch

from training.data.binary import TEST_SEED, VALIDATION_SEED, draw_once
from training.data.classes import about_anomalies, leave_out_others, numbers_of
from training.data.constant import leave_out_constant
from training.data.dataset import Dataset, SplitLabels
from training.data.naming import fit_name
from training.data.repeated import repeated
from training.data.settings import check_settings
from training.data.split import Split, reorder, split
from training.settings.source import KNOWN, DataKind, Source, kind_of
from vaeserve.errors import InvalidInput, TrainingError
from vaeserve.files import AnyArray
from vaeserve.printable import printable
from vaeserve.sources.content import Content, ReportCount, describe_rows


def load_dataset(
    source: Source,
    report: ReportCount = lambda _, __: None,
    validation_rows: Callable[[int], int] | None = None,
) -> Dataset:
    """Returns a data set, split. The same source and files give the same rows in the same parts, whatever the seed.

    The test rows are those that the source itself holds out; otherwise a tenth is drawn, and 360 rows of the digits.

    Args:
        source: the settings about data.
        report: called with the number of pictures that were read, and of all.
        validation_rows: returns how many of so many training rows to validate on, if the data has no rows for that;
            None: as many as the settings say.

    Raises:
        TrainingError: there is no such data, it is bad, or a setting does not fit it. The message is one line and names
            the file, row, column or flag.
    """
    kind = kind_of(source.dataset)
    check_settings(source, kind)
    try:
        return _load(source, kind, report, validation_rows)
    except InvalidInput as exc:  # from the readers, which know nothing about training
        raise TrainingError(str(exc)) from exc


def _load(source: Source, kind: DataKind, report: ReportCount, validation_rows: Callable[[int], int] | None) -> Dataset:
    content, name = _read(source, kind, report), printable(Path(source.dataset))
    trained = numbers_of(content, source.train_classes, name)
    content = leave_out_others(content, trained, name)
    drawn, parts = source.validation_rows, split(content, source.validation_rows, name, trained)
    if validation_rows is not None and not len(parts.validation):
        some = validation_rows(len(parts.train))
        with suppress(TrainingError):  # groups are so large that too few rows to train on would be left
            drawn, parts = some, split(content, some, name, trained)
    if content.spec.kind == "table":
        content = leave_out_constant(content, parts.train, name, source.skip_bad)
    if source.dataset not in KNOWN:
        content = content._replace(title=f"{describe_rows(len(content.values), content.spec)} ({content.title})")
    dataset = _dataset(source, content, parts)._replace(trained_classes=trained, drawn_validation_rows=drawn)
    return dataset._replace(notes=(*about_anomalies(dataset), *dataset.notes))


def _name(dataset: str) -> str:
    if dataset in KNOWN:
        return dataset
    path = Path(dataset).resolve()
    return fit_name(path.name if path.is_dir() else path.stem)


def _read(source: Source, kind: DataKind, report: ReportCount) -> Content:
    """Returns what the reader of that kind reads. It is imported on demand, because importing Arrow is slow."""
    path = Path(source.dataset)
    match kind:
        case "digits":
            from training.data.digits import read_digits

            return read_digits()
        case "mnist":
            from training.data.mnist import read_mnist

            return read_mnist(source.dataset, Path(source.data_dir) if source.data_dir is not None else None)
        case "pictures":
            from vaeserve.sources.folder import read_folder
            from vaeserve.sources.picture import Wanted

            wanted = Wanted(source.image_size, source.image_fit, source.channels)
            return read_folder(path, wanted, source.skip_bad, report, group_folders=source.group_folders)
        case "arrays":
            from vaeserve.sources.arrays import read_npy, read_npz

            return (read_npy if path.suffix.lower() == ".npy" else read_npz)(path, source.skip_bad)
        case "columns":
            from vaeserve.sources.column_roles import ColumnRoles
            from vaeserve.sources.columns import read_csv, read_parquet

            roles = ColumnRoles(source.target, source.group_column, source.drop)
            return (read_csv if path.suffix.lower() == ".csv" else read_parquet)(path, source.skip_bad, roles)


def _dataset(source: Source, content: Content, parts: Split) -> Dataset:
    if source.binarised and content.spec.dtype != "uint8":
        raise TrainingError(f"--binarised: is for images, not for {printable(source.dataset)}")
    name = printable(Path(source.dataset))
    folder = f"{printable(Path(source.dataset).parent)}/"
    values = np.ascontiguousarray(content.values)
    ends = np.cumsum([len(part) for part in parts])[:-1]
    sha256 = _digest(values, parts)
    reorder(values, parts.order)
    train, validation, test = np.split(values, ends)
    notes = [*content.notes, *_look(source, content, train), *repeated(name, train, validation, test)]
    if source.binarised:
        maximum = content.spec.maximum
        validation, test = draw_once(validation, maximum, VALIDATION_SEED), draw_once(test, maximum, TEST_SEED)
    return Dataset(
        name=_name(source.dataset),
        title=content.title,
        spec=content.spec,
        family="bernoulli" if source.binarised else content.family,
        train=torch.from_numpy(train),
        validation=torch.from_numpy(validation),
        test=torch.from_numpy(test),
        labels=None
        if content.labels is None
        else SplitLabels(*(torch.from_numpy(content.labels[part]) for part in parts)),
        sha256=sha256,
        skipped=tuple(line.removeprefix(folder) for line in content.skipped),
        classes=content.classes,
        notes=tuple(line.removeprefix(folder) for line in notes),
        binarised=source.binarised,
    )


def _look(source: Source, content: Content, train: AnyArray) -> list[str]:
    """Returns notes on images for the user, one line each.

    Raises:
        TrainingError: all images are alike.
    """
    spec, name = content.spec, printable(Path(source.dataset))
    if spec.kind != "image":
        return []
    if all((row == train[0]).all() for row in train):  # stops at the first that differs, and needs no memory
        raise TrainingError(f"{name}: all {len(train)} images to train on are alike: there is nothing to learn")
    if source.binarised or spec.maximum == 1:
        return []
    if all(((row == spec.minimum) | (row == spec.maximum)).all() for row in train):
        return [
            f"{name}: every pixel is {spec.minimum:g} or {spec.maximum:g}: --binarised models pixels on or off, "
            "without it levels between them are modelled too"
        ]
    return []


def _digest(values: AnyArray, parts: Split) -> str:
    """Returns the SHA-256 of the rows, and of which part each of them is in."""
    digest = hashlib.sha256(f"{values.dtype} {values.shape}".encode())
    digest.update(values.data)
    for part in parts:
        digest.update(f"{len(part)}".encode())
        digest.update(np.ascontiguousarray(part, "<i8").data)
    return digest.hexdigest()
