# One image with every program: `cacheclip serve` by default, or cacheclip-ingestion, -selector, -generation.
#   docker build -f docker/cacheclip.Dockerfile -t cacheclip .
#   docker run --rm -v cacheclip:/var/lib/cacheclip -v "$PWD/models:/models:ro" cacheclip \
#     serve --data-dir /var/lib/cacheclip --model /models/SmolLM2-135M-Instruct
FROM debian:bookworm-slim AS build
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
WORKDIR /src
COPY tools/setup tools/setup
ENV CACHECLIP_CACHE=/cache
RUN tools/setup/install.sh
COPY . .
RUN cmake --preset release && cmake --build --preset release \
    && cmake --install build/release --prefix /opt/cacheclip \
    # The programs, and every library they load that the slim image lacks, in one folder.
    && mkdir /opt/cacheclip/lib \
    && ldd /opt/cacheclip/bin/cacheclip | awk '$3 ~ /^\// {print $3}' | sort -u \
       | grep -vE '/(libc|libm|libdl|libpthread|librt)\.so' | xargs -I{} cp -L {} /opt/cacheclip/lib/

FROM debian:bookworm-slim
RUN groupadd --system --gid 10001 cacheclip \
    && useradd --system --uid 10001 --gid cacheclip --home-dir /var/lib/cacheclip --create-home cacheclip
COPY --from=build /opt/cacheclip /opt/cacheclip
ENV PATH=/opt/cacheclip/bin:$PATH LD_LIBRARY_PATH=/opt/cacheclip/lib
USER 10001:10001
VOLUME /var/lib/cacheclip
EXPOSE 50051
ENTRYPOINT ["cacheclip"]
CMD ["serve", "--data-dir", "/var/lib/cacheclip"]
