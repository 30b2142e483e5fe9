"""Everything that is measured under one prior."""

from training.evaluate import aggregate, continuity
from training.evaluate.evaluation import Budget
from training.evaluate.figures import Drawn, PriorEvidence
from training.evaluate.references import References, Space
from training.evaluate.rows import DataArray
from training.evaluate.served import ServedPair


def prior_evidence(pair: ServedPair, name: str, references: References, budget: Budget) -> PriorEvidence:
    """Returns the figures of a pair's prior, by the prior's name."""
    latents = pair.draw_prior(name, budget.seed, budget.points)
    as_many = latents[: len(references.test_latents)]  # coverage and MMD compare sets of one size
    samples = references.comparable(pair, as_many, budget.seed)
    mmd = aggregate.mmd(references.test_latents, as_many, budget.seed)
    cycle = continuity.cycle(pair, latents)
    return PriorEvidence(
        name=name,
        hole_fraction=references.holes.fraction(latents),
        mmd_squared=mmd.squared,
        mmd_squared_chance=mmd.chance,
        smoothness=continuity.lipschitz(pair, latents, references.scale),
        cycle_distance=cycle.distance,
        cycle_deviations=cycle.deviations,
        samples=tuple(_drawn(space, samples) for space in references.spaces),
    )


def _drawn(space: Space, samples: DataArray) -> Drawn:
    reach = space.balls.measure(space.features.of(samples))
    return Drawn(
        features=space.features.name,
        density=reach.density / space.real.density if space.real.density else None,
        coverage=reach.coverage / space.real.coverage if space.real.coverage else None,
    )
