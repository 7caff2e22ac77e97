# One image for each service: all are compiled once, together, and SERVICE says which one an image is for.

# Both can be others, where these cannot be pulled. The build image needs Rust, and Node 20 or newer with npm (which is
# installed if it is missing); the runtime image needs glibc not older than the build image's, and CA certificates.
ARG BUILD_IMAGE=docker.io/library/rust:1.95-trixie
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian13:nonroot

FROM ${BUILD_IMAGE} AS build
WORKDIR /src

# The pages' scripts and fonts are bundled with Node. Debian keeps one version of it, so there is none to choose.
# hadolint ignore=DL3008
RUN command -v npm >/dev/null \
    || { apt-get update && apt-get install --yes --no-install-recommends nodejs npm && rm -rf /var/lib/apt/lists/*; }

# Without these, the pages would be built without their scripts; here that is an error.
COPY services/web/package.json services/web/package-lock.json services/web/
RUN --mount=type=cache,target=/root/.npm \
    npm ci --prefix services/web --ignore-scripts --no-audit --no-fund
COPY services/web/front services/web/front
RUN node services/web/front/build.mjs /tmp/bundle

# Panics say where they are all the same; without the names of functions a binary is a fifth smaller.
ENV CARGO_PROFILE_RELEASE_STRIP=symbols \
    CARGO_PROFILE_DEV_STRIP=symbols
# `dev` for trying out what was just changed: links in seconds, where `release` takes minutes for each binary.
ARG PROFILE=release
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --profile "${PROFILE}" --locked --workspace --bins \
        --exclude xtask --exclude docket-tests --exclude docket-bench \
    && mkdir /services \
    && find "target/$(test "${PROFILE}" = dev && echo debug || echo "${PROFILE}")" -maxdepth 1 -type f -executable -exec cp -t /services {} +

FROM ${RUNTIME_IMAGE} AS runtime
ARG SERVICE
COPY --from=build --chmod=0555 /services/${SERVICE} /service
LABEL org.opencontainers.image.title="docket/${SERVICE}" \
      org.opencontainers.image.description="Docket sells tickets and tracks tickets" \
      org.opencontainers.image.licenses="AGPL-3.0-or-later"
# The allocator would take whole pages of 2 MiB: 40 MB for a process that has nothing to do, instead of 22.
# And it would give freed memory back after a moment, to ask for it again with the next requests.
ENV MIMALLOC_ALLOW_THP=0 \
    MIMALLOC_PURGE_DELAY=10000
ENV DOCKET_HTTP_ADDR=0.0.0.0:8080 \
    DOCKET_OPS_ADDR=0.0.0.0:9090 \
    DOCKET_LOG_FORMAT=json
EXPOSE 8080 9090
USER 65532:65532
ENTRYPOINT ["/service"]
