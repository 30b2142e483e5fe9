"""Descriptions for people: a model package, and the models that a server serves."""

import shutil
import textwrap
from collections.abc import Mapping, Sequence
from functools import partial

from vaeserve.client.description import Exactness, Limits, Model
from vaeserve.package.contents import Codes, LatentScaling, Prior
from vaeserve.package.data_spec import ArrayFit, ImageFit
from vaeserve.package.directory import ModelPackage
from vaeserve.package.manifest import Manifest
from vaeserve.package.sizes import Axes, PictureSizes
from vaeserve.printable import printable

Lines = list[tuple[str, str]]

_MINIMUM_COLUMNS, _MAXIMUM_COLUMNS = 30, 100  # of a value; of a whole line


def package_text(package: ModelPackage) -> str:
    """Returns a package's description in aligned lines."""
    manifest = package.manifest
    lines = _pair_lines(manifest)
    if manifest.encoder_afterwards:
        lines.append(("encoder", "trained afterwards, on what the decoder answers to draws from N(0, I)"))
    lines.append(("files", ", ".join(file.file for file in manifest.files) + ": checksums verified"))
    lines.append(("created", f"{manifest.created_at:%Y-%m-%d %H:%M:%S %Z}".strip()))
    if manifest.preprocessing:
        lines.append(("preprocessed", manifest.preprocessing))
    if manifest.provenance:
        digest = f"SHA-256 of rows and split {manifest.provenance.data_sha256[:12]}..."
        lines.append(("data set", f"{manifest.provenance.dataset} ({digest})"))
        lines.append(("trained with", ", ".join(f"{n} {v}" for n, v in manifest.provenance.libraries.items())))
    heading = f"{manifest.name}, version {manifest.version}: model package in {package.directory}"
    return "\n\n".join([_section(heading, lines), *_metrics(manifest.metrics), *_parity(manifest)])


def models_text(models: Sequence[Model], target: str) -> str:
    """Returns the descriptions of a server's models in aligned lines."""
    differ = not all(model.is_default for model in models)
    texts = (_model_text(model, target, " (default)" * (differ and model.is_default)) for model in models)
    return "\n\n".join(texts) or f"{target} serves no models"


def _model_text(model: Model, target: str, remark: str) -> str:
    limits = model.limits
    lines = _pair_lines(model)
    lines.append(("provider", model.provider))
    of = f" of {model.data.sizes.smallest}" if model.data.sizes else ""
    lines.append(("calls", f"at most {limits.call_rows:,} rows{of} and {limits.request_bytes:,} bytes each"))
    if limits.encode_pixels or limits.decode_pixels:
        lines.append(("pixels", _pixels(limits)))
    batches = f"at most {limits.batch_rows:,} rows{of} each"
    if model.execution:
        executors, threads = model.execution.executors, model.execution.threads
        batches += f"; {executors} at a time, {threads} thread{'s' * (threads > 1)} each ({model.execution.source})"
        if model.execution.row_seconds:
            batches += f"; about {model.execution.row_seconds * 1e6:,.0f} us a row"
    lines.append(("batches", batches))
    lines.append(("noise", model.noise_algorithm))
    if model.exactness:
        lines.append(("exactness", _exactness(model.exactness)))
    heading = f"{model.name}, version {model.version}{remark}: served at {target}"
    return "\n\n".join([_section(heading, lines), *_metrics(model.metrics)])


def _pixels(limits: Limits) -> str:
    verbs = {"encode": limits.encode_pixels, "decode": limits.decode_pixels}
    return ", ".join(f"at most {pixels:,} to {verb}" for verb, pixels in verbs.items() if pixels)


def _exactness(exactness: Exactness) -> str:
    if exactness.is_exact:
        return "a row's answer is the same bits in any batch"
    return f"a row's answer may differ by {exactness.largest_difference:.1e} from batch to batch"


def _pair_lines(pair: Manifest | Model) -> Lines:
    data, likelihood = pair.data, pair.likelihood
    missing = ", NaN where missing" if data.missing_allowed else ""
    constants = ", ".join(f"{name} {value:g}" for name, value in likelihood.constants.items())
    return [
        ("fingerprint", pair.fingerprint),
        ("data", f"{data.kind}, {data.dtype} {_axes(data.axes)} in [{data.minimum:g}, {data.maximum:g}]{missing}"),
        *([("sizes", _sizes(data.sizes))] if data.sizes else []),
        *([("columns", ", ".join(data.columns))] if data.columns else []),
        *([("pictures", _pictures(data.image_fit))] if data.image_fit else []),
        *([("arrays", _arrays(data.array_fit, data.maximum))] if data.array_fit else []),
        ("latent", f"float32 {_axes(pair.latent_shape)}"),
        *([("codes", _codes(pair.codes))] if pair.codes else []),
        ("posterior", pair.posterior),
        ("likelihood", f"{likelihood.family} ({constants})" if constants else likelihood.family),
        *([("scaling", _scaling(pair.scaling))] if pair.scaling else []),
        *([("precision", pair.precision)] if pair.precision != "float32" else []),
        ("priors", ", ".join(_prior(prior, pair.default_prior) for prior in pair.priors) or "none: not for sampling"),
    ]


def _codes(codes: Codes) -> str:
    levels = sorted(set(codes.levels))
    each = f"{levels[0]}" if len(levels) == 1 else f"{levels[0]} to {levels[-1]}"
    return f"uint16 [{len(codes.levels)}], {each} levels a value"


def _axes(axes: Axes) -> str:
    return f"[{', '.join(map(str, axes))}]"


def _sizes(sizes: PictureSizes) -> str:
    return f"height and width {sizes.rule}; {sizes.default} (width x height) if none is named"


def _scaling(scaling: LatentScaling) -> str:
    formula = f"{scaling.formula}; " if scaling.formula else ""
    return f"{'latents are scaled' if scaling.applied else 'latents are raw'} ({formula}{scaling.numbers})"


def _pictures(image_fit: ImageFit) -> str:
    converted = {None: "", 1: ", converted to grey", 3: ", converted to RGB"}[image_fit.channels]
    size = "refused if of another size" if image_fit.fit == "exact" else f"brought to size by {image_fit.fit}"
    scaled = f", {image_fit.white} of 16 bits is white" if image_fit.white else ""
    return f"turned upright, {size}{converted}{scaled}"


def _arrays(array_fit: ArrayFit, maximum: float) -> str:
    parts = ["channels first"] if array_fit.channels_first else []
    if array_fit.white:
        parts.append(f"scaled from [0, {array_fit.white:g}] to [0, {maximum:g}] and rounded, if not uint8")
    return "; ".join(parts)


def _prior(prior: Prior, default: str) -> str:
    normals = f"{prior.noise_size} normals a row" if prior.noise_size else "as many normals as a latent has values"
    return f"{prior.name} ({normals}{', default' if prior.name == default else ''})"


def _metrics(metrics: Mapping[str, float]) -> list[str]:
    return [_section("metrics", [(name, f"{value:.6g}") for name, value in sorted(metrics.items())])] if metrics else []


def _parity(manifest: Manifest) -> list[str]:
    if manifest.parity is None:
        return []
    rows = [("output", "rows", "largest difference", "allowed")]
    for check in manifest.parity.checks:
        difference = f"{check.largest_difference:.1e}"
        rows.append((printable(check.output), f"{check.rows}", difference, printable(check.tolerance)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    sizes = ", ".join(map(str, manifest.parity.batch_sizes))
    return ["\n  ".join([f"parity with the reference, at batch sizes {sizes}", *table])]


def _section(heading: str, lines: Lines) -> str:
    """Returns a heading and aligned lines; a value wider than the terminal continues below its beginning."""
    pairs = [(printable(name), printable(value)) for name, value in lines]
    width = max(len(name) for name, _ in pairs)
    columns = max(width + _MINIMUM_COLUMNS, min(shutil.get_terminal_size().columns, _MAXIMUM_COLUMNS))
    wrap = partial(textwrap.fill, width=columns, break_long_words=False, break_on_hyphens=False)
    hanging = " " * (width + 4)
    wrapped = (wrap(value, initial_indent=f"  {name:<{width}}  ", subsequent_indent=hanging) for name, value in pairs)
    return "\n".join([printable(heading), *wrapped])
