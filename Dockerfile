# meshrec on a CPU, as a user without rights.
#
#   docker build --build-arg TORCH_INDEX=<address of PyTorch's CPU builds> -t meshrec .
#   docker run --rm -u "$(id -u):$(id -g)" -v "$PWD:/data" meshrec reconstruct photo.jpg --out out
#
# Without TORCH_INDEX the default builds of PyTorch are installed, which bring several gigabytes for GPUs.
FROM python:3.12-slim AS build
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.12-slim
ARG TORCH_INDEX=""
COPY constraints.txt /tmp/
COPY --from=build /wheels /tmp/wheels
# The desktop build of OpenCV needs libraries that a slim image lacks, and both builds share their folder. Layers keep
# whole seconds of the files' times, by which compiled kernels know their source.
RUN pip install --no-cache-dir ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "$(grep '^torch==' /tmp/constraints.txt)" \
    && pip install --no-cache-dir /tmp/wheels/*.whl \
    && pip uninstall --yes opencv-python \
    && pip install --no-cache-dir opencv-python-headless \
    && find "$(pip show meshrec | sed -n 's/^Location: //p')/meshrec" -name '*.py' \
        -exec sh -c 'touch -d "@$(stat -c %Y "$0")" "$0"' {} \; \
    && rm -r /tmp/wheels /tmp/constraints.txt \
    && useradd --create-home meshrec \
    && mkdir -p /data /cache && chmod 1777 /data /cache
# Kernels that the first photo compiles are kept in the image, for whoever the container runs as.
ENV HOME=/cache NUMBA_CACHE_DIR=/cache/numba OMP_WAIT_POLICY=PASSIVE
COPY examples/dancer.jpg /tmp/
USER meshrec
RUN umask 0 && meshrec reconstruct /tmp/dancer.jpg --out /tmp/out && rm -r /tmp/out
WORKDIR /data
ENTRYPOINT ["meshrec"]
CMD ["--help"]
