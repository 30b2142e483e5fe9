"""Claims about what training finds, each a script that trains, measures and says whether the target is met.

    runs                  settings -> a finished run, trained or found
    linear                linear autoencoder = PCA's subspace; linear VAE = probabilistic PCA's likelihood
    completeness          a deep autoencoder's holes, what fills them, and what beta trades
    completeness_picture  the same, drawn
    anomalies             AUROC of the per-row score on tables, beside PyOD's VAE and PCA
    pyod_scores           PyOD's side of that, run by the interpreter that has PyOD

Figures, commits and times are in docs/reproductions.md.
"""
