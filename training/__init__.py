"""From data to a model package.

    cli          the verbs train and export
    settings/    flags, a file and a preset -> Config
    run/         a run from its start to its package, and what it leaves behind
    data/        a source -> training, validation and held-out rows
    principal    the principal components of rows, and the variances of probabilistic PCA
    symmetry     whether mirrored pictures look like the others
    scaling      data <-> values of about one, inside the graphs
    networks/    data -> posterior; latent -> what the likelihood needs
    likelihoods/ how probable data is, given what the decoder answers
    objective    every bound and loss that is lowered
    models/      which objective, with or without a posterior
    step/        a gradient step, and what it needs
    export/      networks -> ONNX graphs -> a model package, or a refusal
    evaluate/    evidence: held-out figures, and what the graphs answer under ONNX Runtime
    card/        the model card: pictures and README of a pair, made from its graphs
    study/       what runs came to: measured anew, side by side, as a curve
    bring/       pairs that were made elsewhere -> a model package
    imports/     autoencoders of image diffusion -> model packages whose pictures have any size

It never serves: nothing here knows gRPC.
"""
