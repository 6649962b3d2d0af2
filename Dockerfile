# The service as it is deployed: the serving requirements only, no compiler, no root.
FROM python:3.11-slim-bookworm AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/venv
COPY requirements/serving.txt requirements/constraints.txt /tmp/requirements/
RUN /opt/venv/bin/pip install --only-binary=:all: -r /tmp/requirements/serving.txt


FROM python:3.11-slim-bookworm

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ARTIFACTS_ROOT=/data/artifacts \
    SAMPLES_ROOT=/data/samples \
    DATASETS_ROOT=/data/datasets \
    SOLVED_IMAGES_ROOT=/data/solved \
    BIND=0.0.0.0:8000

RUN groupadd --gid 10001 app \
    && useradd --uid 10001 --gid app --no-create-home --home-dir /nonexistent app \
    && install --directory --owner=app --group=app /data

COPY --from=build /opt/venv /opt/venv
WORKDIR /srv/captcha
COPY . .
# The hashed and compressed static files belong to the image; no secret of the deployment is needed to make them.
RUN python -m compileall -q accounts captcha_site crawl jobs labeling ml solving \
    && SECRET_KEY="$(python -c 'import secrets; print(secrets.token_urlsafe(50))')" ALLOWED_HOSTS=localhost \
        python manage.py collectstatic --no-input --verbosity 0

USER 10001:10001
VOLUME /data
EXPOSE 8000

HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]

# Every start brings the database up to the image and registers the models that it ships.
CMD ["sh", "-c", "python manage.py migrate --no-input && python manage.py install_models && exec gunicorn"]
