"""The figures of an epoch, which the progress lines and the journal show."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from torch import Tensor

from training.step.activity import active_units
from training.step.schedule import StepSchedule
from training.step.state import State


class Epoch(NamedTuple):
    """Figures of one epoch: means over its rows, each by the weights of its step."""

    epoch: int
    """Epochs done, this one included."""
    steps: int
    """Steps done, those of this epoch included."""
    loss_nats: float
    """The loss: the negative ELBO, or another bound, or a part of one."""
    negative_elbo_nats: float | None
    """None for a kind without a posterior."""
    reconstruction_nats: float | None
    """None for a kind without a likelihood."""
    kl_nats: float | None
    """Unweighted."""
    active_units: int
    validation_nats: float | None
    """The loss of the average of the weights on the validation rows, at the KL's full weight; None without rows, or
    where it says nothing about which epoch is better.
    """
    kl_weight: float
    """At its last step."""
    learning_rate: float
    """At its last step."""
    skipped_steps: int
    """Steps without a finite gradient."""
    own: Mapping[str, float] = {}
    """The kind's own figures (see `Step`), by name."""

    def by_name(self) -> dict[str, float | None]:
        """Returns all figures by name, the kind's own among them."""
        figures = self._asdict()
        return {**figures.pop("own"), **figures}


def summary(
    state: State,
    terms: Tensor,
    means: Tensor,
    names: Iterable[str] = (),
    *,
    steps: int,
    schedule: StepSchedule,
    skipped: int,
    validated: float | None,
) -> Epoch:
    """Returns an epoch's figures.

    Args:
        state: at its end.
        terms: every row's loss, reconstruction, KL and own figures [terms, rows].
        means: every row's latent [rows, latent].
        names: of the own figures.
        steps: done so far.
        schedule: at its last step.
        skipped: steps that were not taken.
        validated: the loss on validation rows.
    """
    finite = terms.isfinite().all(0)
    loss, reconstruction, kl, *own = terms[:, finite].double().mean(1).tolist()
    has_posterior = state.kind.posterior == "gaussian"
    return Epoch(
        epoch=state.epoch,
        steps=steps,
        loss_nats=loss,
        negative_elbo_nats=reconstruction + kl if has_posterior else None,
        reconstruction_nats=reconstruction if state.kind.likelihood else None,
        kl_nats=kl if has_posterior else None,
        active_units=active_units(means[finite].cpu().numpy()),
        validation_nats=validated,
        kl_weight=schedule.kl_weight,
        learning_rate=schedule.learning_rate,
        skipped_steps=skipped,
        own=dict(zip(names, own, strict=True)),
    )
