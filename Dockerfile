# The service in a container: every package by its hash, no root, all state in one volume.
# It does not start without AGENT_SECRET_KEY and a model's key (or AGENT_SIMULATOR=true): nothing is made up.

FROM python:3.13.15-slim-trixie@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
# Before the source: this layer stays as long as no dependency changes. Wheels only: there is no compiler.
COPY requirements.lock ./
RUN python -m venv /opt/parley \
    && /opt/parley/bin/python -m pip install --require-hashes --no-deps --only-binary=:all: -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY config ./config
COPY telemetry ./telemetry
COPY service ./service
# What only builds and installs stays behind.
RUN /opt/parley/bin/python -m pip install --no-deps --no-build-isolation . \
    && /opt/parley/bin/python -m pip uninstall --yes hatchling editables pip

FROM python:3.13.15-slim-trixie@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b
LABEL org.opencontainers.image.title="parley" org.opencontainers.image.licenses="MIT"
RUN groupadd --gid 10001 parley \
    && useradd --uid 10001 --gid parley --no-log-init --no-create-home \
        --home-dir /var/lib/parley --shell /usr/sbin/nologin parley \
    && install --directory --owner=parley --group=parley --mode=0700 /var/lib/parley
COPY --from=build /opt/parley /opt/parley
# The grace is below the ten seconds that `docker stop` gives, so that the last rows are written in time.
ENV PATH=/opt/parley/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    AGENT_ENVIRONMENT=production \
    AGENT_HOST=0.0.0.0 \
    AGENT_PORT=3005 \
    AGENT_SHUTDOWN_GRACE_MS=5000 \
    AGENT_JOURNAL_DIR=/var/lib/parley/journal \
    AGENT_AUDIT_CHECKPOINT_LOG=/var/lib/parley/checkpoints.jsonl \
    DATABASE_URL=sqlite:////var/lib/parley/parley.db
WORKDIR /var/lib/parley
VOLUME /var/lib/parley
# By number: an orchestrator can see that it is not root.
USER 10001:10001
EXPOSE 3005
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 CMD ["python", "-I", "-c", "import http.client, os; c = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('AGENT_PORT') or 3005), timeout=3); c.request('GET', '/health/live'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["parley"]
CMD ["serve"]
