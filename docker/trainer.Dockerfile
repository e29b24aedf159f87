# Stores to encoders and their scores: pre-training, evaluations, exports. Without Dask.
#   docker build -f docker/trainer.Dockerfile -t mampctl-trainer --build-arg TORCH_INDEX=... .
#   docker build -f docker/trainer.Dockerfile -t mampctl-trainer:gpu --build-arg TORCH=pypi .
FROM python:3.11-slim-bookworm AS build
# Which build of torch: cpu; pypi, PyPI's own, which is for CUDA; or a CUDA version as torch's own index names it, cu130 or
# so. TORCH_INDEX is that index, where pip's others lack the build.
ARG TORCH=cpu
ARG TORCH_INDEX
# For sites with mirrors; pip reads those that are given from the environment.
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_FIND_LINKS
ARG PIP_CERT
WORKDIR /source
# The environment holds no pip: nothing is installed once the image is made.
RUN python -m venv --without-pip /opt/mampctl
COPY constraints.txt ./
# torch and what it needs, in a layer that outlasts changes of the code.
RUN version=$(sed -n 's/^torch==//p' constraints.txt) \
    && if [ "${TORCH}" = pypi ]; then torch="torch===${version}"; else torch="torch==${version}+${TORCH}"; fi \
    && python -m pip --python /opt/mampctl/bin/python install --no-cache-dir --disable-pip-version-check \
         --constraint constraints.txt ${TORCH_INDEX:+--extra-index-url "${TORCH_INDEX}"} "${torch}" \
    || { echo "torch for ${TORCH} was not found: name its index, as PyTorch's installation page tells it, by TORCH_INDEX"; exit 1; }
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
# torch compiles (`compile: true`) by a C++ compiler: on a CPU all of it, on a GPU what starts its kernels.
RUN apt-get update -qq && apt-get install -qq -y --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/mampctl /opt/mampctl
# Any user may run it, known to the image or not, and on a read-only root: all that is written is in /data and /tmp.
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
