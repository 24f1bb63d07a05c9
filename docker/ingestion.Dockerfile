# cacheclip-ingestion: documents in, chunks stored. Also `cacheclip`, for health, preload and purge.
#   docker build -f docker/ingestion.Dockerfile -t cacheclip-ingestion .
# Build arguments: ACCELERATOR cpu or cuda (cuda has not been run); PROGRAMS build, or prebuilt for the folder that
# `docker/build.sh build/image` left; BASE. The stages up to the last are the same in all four files, so a build cache
# compiles once for all images. Details: docker/README.md
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
WORKDIR /src
ENV CACHECLIP_CACHE=/cache CCACHE_DIR=/cache/ccache CCACHE_COMPILERCHECK=content
ARG PROGRAMS=build
COPY tools/setup tools/setup
RUN --mount=type=cache,target=/cache [ "${PROGRAMS}" = prebuilt ] || tools/setup/install.sh
COPY . .
ARG ACCELERATOR=cpu
RUN --mount=type=cache,target=/cache \
    if [ "${PROGRAMS}" = prebuilt ]; then mv build/image /opt/cacheclip; else docker/build.sh /opt/cacheclip; fi

FROM ${BASE}
RUN groupadd --gid 10001 cacheclip \
    && useradd --uid 10001 --gid 10001 --no-log-init --home-dir /var/lib/cacheclip --create-home cacheclip
COPY --from=build /opt/cacheclip/share/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /opt/cacheclip/lib /opt/cacheclip/lib
COPY --from=build /opt/cacheclip/bin/cacheclip /opt/cacheclip/bin/cacheclip-ingestion /opt/cacheclip/bin/
ENV PATH=/opt/cacheclip/bin:$PATH LD_LIBRARY_PATH=/opt/cacheclip/lib CACHECLIP_DATA_DIR=/var/lib/cacheclip
USER 10001:10001
VOLUME /var/lib/cacheclip
# 9464: /metrics, where metrics_port is set to it
EXPOSE 50051 9464
# Loading a model takes a while; nothing listens before.
HEALTHCHECK --interval=10s --timeout=5s --start-period=5m --retries=3 \
    CMD ["cacheclip", "health"]
ENTRYPOINT ["cacheclip-ingestion"]
