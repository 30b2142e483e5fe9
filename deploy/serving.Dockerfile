# What runs models, without torch. Build from the repository's root:
#   docker build -f deploy/serving.Dockerfile --target cpu -t vaeserve .           the service
#   docker build -f deploy/serving.Dockerfile --target cuda -t vaeserve-gpu .      the service on a GPU
#   docker build -f deploy/serving.Dockerfile --target jobs -t vaeserve-jobs .     batch jobs
# BASE may name a digest: --build-arg BASE=python:3.11-slim@sha256:...
ARG BASE=python:3.11-slim

FROM ${BASE} AS build
WORKDIR /src
COPY deploy/install.sh deploy/
COPY deploy/requirements deploy/requirements

# Both secrets are optional: a pip configuration and certificates for networks that need them.
FROM build AS packages-cpu
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf \
    --mount=type=secret,id=ca_bundle,target=/run/secrets/ca_bundle \
    deploy/install.sh packages serving

FROM build AS packages-cuda
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf \
    --mount=type=secret,id=ca_bundle,target=/run/secrets/ca_bundle \
    deploy/install.sh packages serving-gpu

FROM build AS packages-jobs
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf \
    --mount=type=secret,id=ca_bundle,target=/run/secrets/ca_bundle \
    deploy/install.sh packages jobs

FROM build AS project
COPY pyproject.toml README.md LICENSE ./
COPY vaeserve vaeserve
COPY serving serving
COPY jobs jobs
COPY deploy/ready.sh /out/opt/vae/bin/vae-ready
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf \
    --mount=type=secret,id=ca_bundle,target=/run/secrets/ca_bundle \
    deploy/install.sh project

FROM ${BASE} AS runtime
ENV PATH=/opt/vae/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ORT_DISABLE_TELEMETRY=1
# Nothing in the image installs packages or takes another user's rights, and any user can write to a new volume on these folders,
# because it takes over their mode.
RUN --mount=type=bind,from=build,source=/src/deploy,target=/mnt /mnt/install.sh system /tuning /results
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="vaeserve" \
      org.opencontainers.image.description="Serves variational autoencoders over gRPC: batched Encode, Decode and Sample" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.licenses="Apache-2.0"
USER 10001:10001
ENTRYPOINT ["vae"]

FROM runtime AS jobs
COPY --from=packages-jobs /out /
COPY --from=project /out /
CMD ["job", "--help"]
LABEL org.opencontainers.image.title="vaeserve-jobs" \
      org.opencontainers.image.description="Batch jobs of variational autoencoders: millions of rows to latents, scores or samples"

FROM runtime AS service
ENV VAE_HOST=0.0.0.0 \
    VAE_PORT=50051 \
    VAE_METRICS_PORT=9464 \
    VAE_TUNING_CACHE=/tuning
EXPOSE 50051 9464
HEALTHCHECK --interval=2s --timeout=2s --start-period=60s --retries=5 CMD ["vae-ready"]
# VAE_PACKAGE names the package, for example on a volume.
CMD ["serve"]

FROM service AS cuda
COPY --from=packages-cuda /out /
COPY --from=project /out /

FROM service AS cpu
COPY --from=packages-cpu /out /
COPY --from=project /out /
