# A model package as an image, for clusters that take models from a registry. Build it from the package's directory:
#   docker build -f deploy/package.Dockerfile --build-arg NAME=digits -t digits:1 runs/digits/model
# The package lies at /models/NAME. BASE=scratch suits image volumes and COPY --from; a sidecar that runs the image needs a shell:
# BASE=busybox.
ARG BASE=scratch
FROM ${BASE}
ARG NAME=model
ARG VERSION=1
LABEL org.opencontainers.image.title="${NAME}" \
      org.opencontainers.image.version="${VERSION}"
COPY . /models/${NAME}/
USER 10001:10001
