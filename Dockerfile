# The images of Slipway from its sources alone, one program each:
#
#   docker build --build-arg NAME=slipway-hooks --build-arg PACKAGE=./services/hooks --target service -t slipway/hooks .
#   docker build -t slipway/cli --target cli .
#
# `make images` builds all of them without a base image, around programs that it has built (build/image/Dockerfile).
ARG GO_IMAGE=golang:1.26

FROM ${GO_IMAGE} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG PACKAGE=./cmd/slipway
RUN CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o /image/slipway ${PACKAGE} && \
    mkdir -p -m 1777 /image/tmp && mkdir -p /image/var/lib/slipway

FROM scratch AS cli
ARG NAME=slipway
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="${NAME}" \
      org.opencontainers.image.description="Slipway, a self-hosted deployment control plane" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="https://github.com/slipway-deploy/slipway" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build --chown=65532:65532 /image/ /
USER 65532:65532
ENTRYPOINT ["/slipway"]

FROM cli AS service
HEALTHCHECK --interval=2s --timeout=4s --start-period=20s --retries=5 CMD ["/slipway", "healthcheck"]
