# One file, three images (docker-compose.yml says which is which by REQUIREMENTS): the web process, the workers that
# run jobs, and the one that trains. No compiler, no root.
FROM python:3.11-slim-trixie AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/venv
COPY requirements /tmp/requirements
# Of requirements/: "worker" is serving.txt and Celery.
ARG REQUIREMENTS="worker"
RUN for name in $REQUIREMENTS; do /opt/venv/bin/pip install --only-binary=:all: -r "/tmp/requirements/$name.txt" || exit 1; done


FROM python:3.11-slim-trixie

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ARTIFACTS_ROOT=/data/artifacts \
    CURVES_ROOT=/data/curves \
    SAMPLES_ROOT=/data/samples \
    DATASETS_ROOT=/data/datasets \
    SOLVED_IMAGES_ROOT=/data/solved \
    BACKUPS_ROOT=/backups \
    BIND=0.0.0.0:8000

# pg_dump and pg_restore for manage.py backup and restore, of the server's own major version.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends postgresql-client-17 \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 app \
    && useradd --uid 10001 --gid app --no-create-home --home-dir /nonexistent app \
    && install --directory --owner=app --group=app /data /backups

# Fonts are what synthetic captchas are drawn with: only the image that trains needs them. Not every release of Debian
# has all of the list.
COPY ml/recognition/synthesis/fonts.txt /tmp/fonts.txt
ARG FONTS=""
# hadolint ignore=DL3008,SC2046
RUN if [ -n "$FONTS" ]; then \
        apt-get update \
        && apt-cache pkgnames > /tmp/known.txt \
        && apt-get install --yes --no-install-recommends $(grep -Fxf /tmp/fonts.txt /tmp/known.txt) \
        && rm -rf /var/lib/apt/lists/* /tmp/known.txt; \
    fi

COPY --from=build /opt/venv /opt/venv
WORKDIR /srv/captcha
COPY . .
# The hashed and compressed static files belong to the image; no secret of the deployment is needed to make them.
RUN python -m compileall -q accounts captcha_site crawl jobs labeling ml own_types solving \
    && SECRET_KEY="$(python -c 'import secrets; print(secrets.token_urlsafe(50))')" ALLOWED_HOSTS=localhost \
        python manage.py collectstatic --no-input --verbosity 0

USER 10001:10001
VOLUME /data
EXPOSE 8000

HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]

# The database is brought up to the image by `manage.py prepare`, once, not by each replica.
CMD ["bin/serve"]
