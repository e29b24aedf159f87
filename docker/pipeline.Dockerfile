# From raw files to stores: ingest, splits, reports, and Dask's scheduler and workers. No torch.
#   docker build -f docker/pipeline.Dockerfile -t mampctl-pipeline .
FROM python:3.11-slim-bookworm AS build
# For sites with mirrors; pip reads them from the environment.
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_FIND_LINKS
ARG PIP_CERT
WORKDIR /source
RUN apt-get update -qq && apt-get install -qq -y --no-install-recommends binutils
# The environment has no pip: nothing is installed after the image is built.
RUN python -m venv --without-pip /opt/mampctl
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY schemas schemas
COPY pipeline pipeline
COPY trainer trainer
COPY cli cli
RUN python -m pip --python /opt/mampctl/bin/python install --no-cache-dir --disable-pip-version-check \
      --constraint constraints.txt '.[pipeline,report,s3]'
# Remove nearly 200 MB that is never used: the tests of packages (numpy.testing imports one of NumPy's), debugging
# symbols, and all of plotly except the script that draws reports.
RUN cd /opt/mampctl/lib/python3.11/site-packages \
    && find . -type d -name tests -not -path './numpy/_core/tests' -prune -exec rm -r {} + \
    && find numpy/_core/tests -type f -not -name '_natype*' -not -name '__init__*' -delete \
    && find llvmlite numba numcodecs kiwisolver fontTools obstore yaml -name '*.so' -exec strip --strip-unneeded {} + \
    && rm -r plotly/graph_objs plotly/validators plotly/labextension plotly/package_data/widgetbundle.js \
         /opt/mampctl/share/jupyter

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="mampctl-pipeline" \
      org.opencontainers.image.description="mampctl: raw skeleton files to stores, on CPU nodes" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/mampctl /opt/mampctl
# Any user may run it, also one that the image does not know, on a read-only root: it writes only to /data and /tmp.
RUN useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin mampctl \
    && install --directory --mode 1777 /data
ENV PATH=/opt/mampctl/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/tmp \
    LOGNAME=mampctl \
    MAMPCTL_DATA=/data \
    MPLCONFIGDIR=/tmp/matplotlib \
    NUMBA_CACHE_DIR=/tmp/numba \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001
WORKDIR /data
ENTRYPOINT ["mampctl"]
CMD ["--help"]
