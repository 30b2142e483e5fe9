"""Claims about what training finds, each a script that trains, measures and says whether the target is met.

    runs                  settings -> a finished run, trained now or earlier
    linear                linear autoencoder = PCA's subspace; linear VAE = probabilistic PCA's likelihood
    completeness          a deep autoencoder's holes, which priors fill them, and the trade-off of beta
    completeness_picture  a picture of that
    rate_distortion       codes beside a VAE: what they take, and what they lose
    pictures              pictures with default settings, beside PCA and probabilistic PCA of the same latent size
    anomalies             AUROC of the per-row score on tables, beside PyOD's VAE and PCA
    pyod_scores           PyOD's side of that, run by the interpreter that has PyOD

Figures, commits and times are in docs/reproductions.md.
"""
