"""Roles: what each of a module's or a graph's answers is, by what the spec, their names or their number say."""

from collections.abc import Sequence

from training.bring.spec import DECODER_CHOICES, Spec
from vae.errors import TrainingError

ENCODER = {"mean", "log_variance"}
DECODER = {"data", "expectation", "parameters", "logits"}


def encoder_roles(label: str, spec: Spec, count: int, names: Sequence[str] = ()) -> tuple[str, ...]:
    """Returns the role of each of an encoder's outputs, in their order.

    Args:
        label: what to call the encoder in an error.
        spec: what its maker says.
        count: how many outputs there are.
        names: those of a graph.

    Raises:
        TrainingError: it cannot be told.
    """
    if spec.encoder_outputs is not None:
        return _told(label, "encoder_outputs", spec.encoder_outputs, count, names)
    if spec.posterior == "none":
        if count == 1:
            return ("mean",)
        if "mean" in names:
            return tuple("mean" if name == "mean" else "ignored" for name in names)
    elif names and set(names) >= ENCODER:
        return tuple(name if name in ENCODER else "ignored" for name in names)
    elif count == 1:
        return ("moments",)
    elif count == 2 and not names:
        return ("mean", "log_variance")
    wanted = "mean" if spec.posterior == "none" else "mean, log_variance"
    raise _unclear(label, "encoder_outputs", wanted, count, names)


def decoder_roles(label: str, spec: Spec, count: int, names: Sequence[str] = ()) -> tuple[str, ...]:
    """Returns the role of each of a decoder's outputs, in their order; see `encoder_roles`."""
    if spec.decoder_outputs is not None:
        return _told(label, "decoder_outputs", spec.decoder_outputs, count, names)
    if set(names) & DECODER in DECODER_CHOICES:
        return tuple(name if name in DECODER else "ignored" for name in names)
    if count == 1:
        return ("expectation",)
    if not names and count in (2, 3):
        return ("data", "expectation", "parameters")[:count]
    raise _unclear(label, "decoder_outputs", "expectation", count, names)


def _told(label: str, key: str, roles: tuple[str, ...], count: int, names: Sequence[str]) -> tuple[str, ...]:
    if len(roles) != count:
        raise TrainingError(f"{label}: {_answers(count, names)}, and {key} names {len(roles)}")
    return roles


def _unclear(label: str, key: str, wanted: str, count: int, names: Sequence[str]) -> TrainingError:
    return TrainingError(
        f"{label}: {_answers(count, names)}, and it is not clear which is what: "
        f"give {key} in their order, of {wanted} and ignored"
    )


def _answers(count: int, names: Sequence[str]) -> str:
    listed = f" ({', '.join(names)})" if names else ""
    return f"answers {count} tensor{'s' * (count != 1)}{listed}"
