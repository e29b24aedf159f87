# From stores to encoders and their results: pre-training, evaluations, exports. No Dask.
#   docker build -f docker/trainer.Dockerfile -t mampctl-trainer --build-arg TORCH_INDEX=... .
#   docker build -f docker/trainer.Dockerfile -t mampctl-trainer:gpu --build-arg TORCH=pypi .
FROM python:3.11-slim-bookworm AS build
# The build of torch: cpu; pypi, PyPI's own build, for CUDA; or a CUDA version as torch's index names it, such as cu130.
# TORCH_INDEX is an index that has this build, if pip's other indexes lack it.
ARG TORCH=cpu
ARG TORCH_INDEX
# For sites with mirrors; pip reads them from the environment.
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_FIND_LINKS
ARG PIP_CERT
WORKDIR /source
# The environment has no pip: nothing is installed after the image is built.
RUN python -m venv --without-pip /opt/mampctl
COPY constraints.txt ./
# torch and its dependencies, in a layer that stays cached when the code changes.
RUN version=$(sed -n 's/^torch==//p' constraints.txt) \
    && if [ "${TORCH}" = pypi ]; then torch="torch===${version}"; else torch="torch==${version}+${TORCH}"; fi \
    && python -m pip --python /opt/mampctl/bin/python install --no-cache-dir --disable-pip-version-check \
         --constraint constraints.txt ${TORCH_INDEX:+--extra-index-url "${TORCH_INDEX}"} "${torch}" \
    || { echo "torch for ${TORCH} was not found: set TORCH_INDEX to its index, as PyTorch's installation page gives it"; exit 1; }
COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY pipeline pipeline
COPY trainer trainer
COPY cli cli
RUN python -m pip --python /opt/mampctl/bin/python install --no-cache-dir --disable-pip-version-check \
      --constraint constraints.txt '.[trainer,export,s3]'

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="mampctl-trainer" \
      org.opencontainers.image.description="mampctl: stores to pre-trained encoders and their scores, on GPU nodes" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
# `compile: true` needs a C++ compiler: on a CPU for all code, on a GPU for the code that launches kernels.
RUN apt-get update -qq && apt-get install -qq -y --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/mampctl /opt/mampctl
# Any user may run it, also one that the image does not know, on a read-only root: it writes only to /data and /tmp.
RUN useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin mampctl \
    && install --directory --mode 1777 /data
ENV PATH=/opt/mampctl/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/tmp \
    LOGNAME=mampctl \
    MAMPCTL_DATA=/data \
    MPLCONFIGDIR=/tmp/matplotlib \
    ORT_DISABLE_TELEMETRY=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TORCHINDUCTOR_CACHE_DIR=/tmp/torchinductor \
    TRITON_CACHE_DIR=/tmp/triton \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 10001
WORKDIR /data
ENTRYPOINT ["mampctl"]
CMD ["--help"]
