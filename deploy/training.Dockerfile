# The training job, on the CPU. Build from the repository's root:
#   docker build -f deploy/training.Dockerfile -t vaeserve-training .
# BASE may name a digest. TORCH_INDEX is where pip finds PyTorch's builds for the CPU, beside its usual index; empty: only there.
ARG BASE=python:3.11-slim

FROM ${BASE} AS build
WORKDIR /src
COPY deploy/install.sh deploy/
COPY deploy/requirements deploy/requirements

# Both secrets are optional: a pip configuration and certificates for networks that need them.
FROM build AS packages
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf \
    --mount=type=secret,id=ca_bundle,target=/run/secrets/ca_bundle \
    deploy/install.sh packages training

FROM build AS project
COPY pyproject.toml README.md LICENSE ./
COPY vaeserve vaeserve
COPY training training
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf \
    --mount=type=secret,id=ca_bundle,target=/run/secrets/ca_bundle \
    deploy/install.sh project

FROM ${BASE}
ENV PATH=/opt/vae/bin:$PATH \
    MPLCONFIGDIR=/dev/shm/matplotlib \
    TORCHINDUCTOR_CACHE_DIR=/dev/shm/torchinductor \
    PYTHONUNBUFFERED=1 \
    ORT_DISABLE_TELEMETRY=1
# Nothing in the image takes another user's rights, and any user can write to a new volume on /models, because it takes over the
# folder's mode.
RUN --mount=type=bind,from=build,source=/src/deploy,target=/mnt /mnt/install.sh system /models
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="vaeserve-training" \
      org.opencontainers.image.description="Trains variational autoencoders and exports them as packages for vaeserve" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=packages /out /
COPY --from=project /out /
# Where /tmp cannot be written to, temporary files go to the working directory.
WORKDIR /models
USER 10001:10001
ENTRYPOINT ["vae"]
CMD ["train", "digits", "--out", "/models/digits", "--resume"]
