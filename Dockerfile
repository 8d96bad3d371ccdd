# syntax=docker/dockerfile:1
# Two stages: the first installs pinned packages, the second holds nothing but them and the service.

FROM python:3.12-slim AS build
WORKDIR /src
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /app
COPY constraints.txt constraints-build.txt ./
RUN /app/bin/pip install --require-hashes --only-binary :all: -r constraints-build.txt
# pyvips comes as source; without pkg-config it uses the libvips of the pinned pyvips-binary.
RUN PKG_CONFIG=false /app/bin/pip install --require-hashes --only-binary :all: --no-binary pyvips --no-build-isolation \
    -r constraints.txt
COPY pyproject.toml README.md ./
COPY supervisors supervisors
COPY migrations migrations
COPY photochanger photochanger
RUN /app/bin/pip install --no-deps --no-build-isolation .

FROM python:3.12-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/photochanger --create-home photochanger
COPY --from=build /app /app
USER photochanger
WORKDIR /var/lib/photochanger
# Everything that is written lies under this one folder, so the root file system may be read-only:
#   docker run --read-only --tmpfs /tmp -v photochanger:/var/lib/photochanger ...
ENV PATH=/app/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PHOTOCHANGER_VAR=/var/lib/photochanger \
    HOST=0.0.0.0 \
    PORT=8080 \
    LOG_FORMAT=json
VOLUME /var/lib/photochanger
EXPOSE 8080
# Held photos finish before the process ends: give it the longest window and ten seconds (docker stop -t 75).
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["photochanger", "health"]
CMD ["photochanger", "serve"]
