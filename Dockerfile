# The HTTP service. The model is mounted, and the key, if there is one, comes with the environment:
#   docker build --tag ecg . && docker run --publish 8000:8000 --volume ./models:/models:ro --env ECG_API_KEY ecg
# It needs no privileges and writes no file, so `docker run` may get --read-only --cap-drop ALL, too.
FROM python:3.11-slim AS build
WORKDIR /source
COPY requirements-service.txt ./
RUN python -m venv --without-pip /opt/ecg \
  && pip --python /opt/ecg/bin/python install --no-cache-dir --require-hashes --requirement requirements-service.txt
COPY pyproject.toml README.md LICENSE ./
COPY ecg ecg
RUN pip --python /opt/ecg/bin/python install --no-cache-dir --no-deps .

FROM python:3.11-slim
COPY --from=build /opt/ecg /opt/ecg
# ONNX Runtime would tell its maker of every start.
ENV PATH=/opt/ecg/bin:$PATH PORT=8000 ORT_DISABLE_TELEMETRY=1
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin ecg
USER 10001
WORKDIR /models
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD \
  ["python", "-c", "import os, urllib.request as web; web.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/health/ready', timeout=2)"]
CMD ["ecg", "serve", "--models", "/models", "--host", "0.0.0.0"]
