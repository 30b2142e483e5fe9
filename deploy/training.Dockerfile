# The training job. Build from the repository's root:
#   docker build -f deploy/training.Dockerfile -t vaeserve-training .
ARG BASE=python:3.11-slim

FROM ${BASE} AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY vaeserve vaeserve
COPY training training
RUN python3 -m venv /opt/vae
# Both secrets are optional: a pip configuration (an index of CPU builds of torch, say) and certificates.
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf \
    --mount=type=secret,id=ca_bundle,target=/run/secrets/ca_bundle \
    /opt/vae/bin/pip install --no-cache-dir -c constraints.txt ".[training,serving]"

FROM ${BASE}
COPY --from=build /opt/vae /opt/vae
ENV PATH=/opt/vae/bin:$PATH \
    MPLCONFIGDIR=/tmp/matplotlib \
    PYTHONUNBUFFERED=1 \
    ORT_DISABLE_TELEMETRY=1
# A new volume mounted here takes over the folder's owner, so the job can write as a user without rights.
RUN mkdir /models && chown 10001:10001 /models
USER 10001:10001
ENTRYPOINT ["vae"]
CMD ["train", "digits", "--out", "/models/digits", "--resume"]
