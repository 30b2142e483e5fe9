"""Evidence: what a pair is worth, measured on the graphs that are served, through ONNX Runtime.

    served          a pair's graphs as callables on arrays
    bounds          ELBO and importance-weighted log-likelihood
    reconstruction  squared error, the variance explained, and PCA's
    baseline        how probable rows are without latents
    aggregate       all rows' latents together against a prior: distance, holes
    continuity      do near latents decode to near outputs?
    features        what rows are compared by
    completeness    do a prior's latents decode to something that could be data?
    evaluation      what was found, as one value and as JSON
    evidence        the evaluation itself: the above, in order
    alarms          what nobody should have to find out from its figures
    report          an evaluation as a table
    comparison      several of them side by side

The same graphs, rows and budget give the same figures: every draw is seeded.
"""
