# The training job. Build from the repository's root:
#   docker build -f deploy/training.Dockerfile -t vaeserve-training .
# BASE may name a digest. TORCH_INDEX is where pip finds PyTorch's builds for the CPU; empty: PyPI, whose builds bring several GB of CUDA.
ARG BASE=python:3.11-slim

FROM ${BASE} AS build
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /src
RUN python3 -m venv --without-pip /opt/vae
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY vaeserve vaeserve
COPY training training
# Both secrets are optional: a pip configuration and certificates for networks that need them.
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf \
    --mount=type=secret,id=ca_bundle,target=/run/secrets/ca_bundle \
    pip --python /opt/vae/bin/python3 install --no-cache-dir -c constraints.txt \
        ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} ".[training,serving]"

FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="vaeserve-training" \
      org.opencontainers.image.description="Trains variational autoencoders and exports them as packages for vaeserve" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/opt/vae/bin:$PATH \
    MPLCONFIGDIR=/tmp/matplotlib \
    PYTHONUNBUFFERED=1 \
    ORT_DISABLE_TELEMETRY=1
# Nothing in the image takes another user's rights. A new volume mounted on /models takes over the folder's mode, so any user can write there.
RUN find / -xdev -perm /6000 -type f -exec chmod a-s {} + \
    && mkdir /models && chmod 1777 /models
COPY --from=build /opt/vae /opt/vae
USER 10001:10001
ENTRYPOINT ["vae"]
CMD ["train", "digits", "--out", "/models/digits", "--resume"]
