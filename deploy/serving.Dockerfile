# The service, without torch. Build from the repository's root:
#   docker build -f deploy/serving.Dockerfile -t vaeserve .
# EXTRA=serving-gpu makes the CUDA image.
ARG BASE=python:3.11-slim

FROM ${BASE} AS build
ARG EXTRA=serving
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY vaeserve vaeserve
COPY serving serving
RUN python3 -m venv /opt/vae
# Both secrets are optional: a pip configuration and certificates for networks that need them.
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf \
    --mount=type=secret,id=ca_bundle,target=/run/secrets/ca_bundle \
    /opt/vae/bin/pip install --no-cache-dir -c constraints.txt ".[${EXTRA}]"

FROM ${BASE}
COPY --from=build /opt/vae /opt/vae
ENV PATH=/opt/vae/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ORT_DISABLE_TELEMETRY=1 \
    VAE_HOST=0.0.0.0 \
    VAE_PORT=50051
# A new volume mounted here takes over the folder's owner, so `vae tune` can write as a user without rights.
RUN mkdir /tuning && chown 10001:10001 /tuning
USER 10001:10001
EXPOSE 50051
HEALTHCHECK --interval=10s --timeout=8s --start-period=30s --retries=3 CMD vae health --target "127.0.0.1:$VAE_PORT"
# VAE_PACKAGE names the package, for example on a volume.
ENTRYPOINT ["vae"]
CMD ["serve"]
