# One image for migrate, worker, API and JupyterLab. The dependencies' layer is rebuilt only when they change; the code is installed
# editable in /app, so that `docker compose watch` can replace it in a running container.
ARG PYTHON_IMAGE=python:3.13-slim
FROM ${PYTHON_IMAGE} AS build
WORKDIR /app
ENV PATH=/opt/venv/bin:$PATH
RUN python -m venv /opt/venv
COPY pyproject.toml constraints.txt LICENSE ./
COPY orderkit/__init__.py orderkit/
COPY orderkit/stack/labextension orderkit/stack/labextension
RUN --mount=type=cache,target=/root/.cache/pip \
    touch README.md && pip install --disable-pip-version-check --constraint constraints.txt --editable .

FROM ${PYTHON_IMAGE}
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1
RUN useradd --create-home --uid 1000 orderkit && install --directory --owner orderkit --group orderkit /app
WORKDIR /app
COPY --from=build /opt/venv /opt/venv
COPY --chown=orderkit:orderkit . .
# By number: `docker compose watch` looks a name up on the host, which has none, and copies nothing.
USER 1000
EXPOSE 8000 8888
CMD ["orderkit", "--help"]
