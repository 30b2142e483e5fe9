"""Evidence: how good a pair is, measured on the graphs that are served, through ONNX Runtime.

    rows            rows, labels and latents as arrays
    served          a pair's graphs as methods on arrays
    bounds          ELBO and importance-weighted log-likelihood
    baseline        how probable rows are without latents
    reconstruction  squared error, the variance explained, and PCA's
    aggregate       all rows' latents together against a prior: distance, holes
    continuity      whether near latents decode to near outputs
    row_scores      what single rows score, as Reconstruct answers it
    ranking         how well a score ranks anomalies above other rows
    features        what rows are compared by
    completeness    whether a prior's latents decode to something that could be data
    figures         the records that an evaluation consists of
    evaluation      all figures as one value, and as JSON
    class_evidence  the figures of each class, and of anomalies
    probability     every log-likelihood of an evaluation
    references      the rows and latents that others are compared with
    prior_evidence  everything that is measured under one prior
    evidence        the evaluation itself: the above, in order
    alarms          warnings about figures
    summary         an evaluation in three lines
    figure_text     figures as text
    class_report    the lines of a report that labels make possible
    report          an evaluation as a table
    comparison      several of them side by side

The same graphs, rows and budget give the same figures: every draw is seeded.
"""
