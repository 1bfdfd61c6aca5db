# docker build -t rolevend:0.2.0 .
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /source
RUN python -m venv --without-pip /opt/rolevend
# Dependencies first, so that a change of our code does not download them again; every one by its hash, and as a wheel.
# So is what builds our own wheel, which therefore asks no registry.
COPY requirements/image.lock requirements/build.lock requirements/
RUN pip --python /opt/rolevend/bin/python install --require-hashes --only-binary :all: -r requirements/image.lock \
 && pip install --require-hashes --only-binary :all: -r requirements/build.lock
COPY pyproject.toml README.md LICENSE ./
COPY operator operator
RUN pip wheel --no-index --no-deps --no-build-isolation --check-build-dependencies --wheel-dir /wheels . \
 && pip --python /opt/rolevend/bin/python install --no-deps --no-index --find-links /wheels 'rolevend[api,operator,postgres,snowflake]' \
 && pip --python /opt/rolevend/bin/python check

FROM python:${PYTHON}-slim
LABEL org.opencontainers.image.title="rolevend" \
      org.opencontainers.image.description="Vends short-lived, least-privilege database roles to AI agents that act on behalf of a person" \
      org.opencontainers.image.licenses="Apache-2.0"
# Nothing is installed in a running container: the root file system is read-only there.
RUN pip uninstall --yes --quiet --root-user-action ignore pip && rm -rf "$(python -c 'import ensurepip; print(*ensurepip.__path__)')"
COPY --from=build /opt/rolevend /opt/rolevend
# Snowflake's connector looks for settings in a home, and does not load without one: this one holds none, and nobody can write there.
ENV PATH=/opt/rolevend/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/
# By number, so that kubelet can see that it is not root.
USER 65532:65532
RUN python -c 'import psycopg, snowflake.connector'
EXPOSE 8080 8443
ENTRYPOINT ["rolevend"]
CMD ["operator"]
