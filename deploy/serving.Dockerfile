# What runs models, without torch. Build from the repository's root:
#   docker build -f deploy/serving.Dockerfile --target cpu -t vaeserve .           the service
#   docker build -f deploy/serving.Dockerfile --target cuda -t vaeserve-gpu .      the service on a GPU
#   docker build -f deploy/serving.Dockerfile --target jobs -t vaeserve-jobs .     batch jobs
# BASE may name a digest: --build-arg BASE=python:3.11-slim@sha256:...
ARG BASE=python:3.11-slim

FROM ${BASE} AS build
WORKDIR /src
RUN python3 -m venv --without-pip /opt/vae
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY deploy/strip.sh deploy/
COPY vaeserve vaeserve
COPY serving serving

# Both secrets are optional: a pip configuration and certificates for networks that need them.
FROM build AS build-cpu
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf \
    --mount=type=secret,id=ca_bundle,target=/run/secrets/ca_bundle \
    pip --python /opt/vae/bin/python3 install --no-cache-dir -c constraints.txt ".[serving]" && deploy/strip.sh /opt/vae

FROM build AS build-cuda
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf \
    --mount=type=secret,id=ca_bundle,target=/run/secrets/ca_bundle \
    pip --python /opt/vae/bin/python3 install --no-cache-dir -c constraints.txt ".[serving-gpu]" && deploy/strip.sh /opt/vae

FROM build AS build-jobs
COPY jobs jobs
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf \
    --mount=type=secret,id=ca_bundle,target=/run/secrets/ca_bundle \
    pip --python /opt/vae/bin/python3 install --no-cache-dir -c constraints.txt ".[serving,jobs]" && deploy/strip.sh /opt/vae

FROM ${BASE} AS runtime
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="vaeserve" \
      org.opencontainers.image.description="Serves variational autoencoders over gRPC: batched Encode, Decode and Sample" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/opt/vae/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ORT_DISABLE_TELEMETRY=1
# Nothing in the image installs packages or takes another user's rights. A new volume mounted on one of the folders takes over its mode, so
# any user can write there.
RUN PYTHONDONTWRITEBYTECODE=1 pip uninstall --yes --quiet pip setuptools wheel \
    && rm -r "$(python3 -c 'import ensurepip; print(*ensurepip.__path__)')" \
    && find / -xdev -perm /6000 -type f -exec chmod a-s {} + \
    && mkdir /tuning /results && chmod 1777 /tuning /results
USER 10001:10001
ENTRYPOINT ["vae"]

FROM runtime AS jobs
LABEL org.opencontainers.image.title="vaeserve-jobs" \
      org.opencontainers.image.description="Batch jobs of variational autoencoders: millions of rows to latents, scores or samples"
COPY --from=build-jobs /opt/vae /opt/vae
CMD ["job", "--help"]

FROM runtime AS service
ENV VAE_HOST=0.0.0.0 \
    VAE_PORT=50051 \
    VAE_METRICS_PORT=9464
COPY deploy/ready.sh /usr/local/bin/vae-ready
EXPOSE 50051 9464
HEALTHCHECK --interval=2s --timeout=2s --start-period=60s --retries=5 CMD ["vae-ready"]
# VAE_PACKAGE names the package, for example on a volume.
CMD ["serve"]

FROM service AS cuda
COPY --from=build-cuda /opt/vae /opt/vae

FROM service AS cpu
COPY --from=build-cpu /opt/vae /opt/vae
