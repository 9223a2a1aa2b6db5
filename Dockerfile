# The lean service: no torch, not root, nothing written but in /tmp.
#
#   docker build -t pct-serve .
#   docker run --read-only --tmpfs /tmp -p 127.0.0.1:3000:3000 -v "$PWD/exported:/model:ro" pct-serve
#
# Behind another name than localhost or an address: ... pct-serve /model --allow-host reviews.example
FROM python:3.11-slim AS build
WORKDIR /build
COPY requirements-serve.lock .
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --requirement requirements-serve.lock
COPY pyproject.toml README.md LICENSE ./
COPY pct pct
COPY serving serving
RUN /venv/bin/pip install --no-cache-dir --no-deps .

FROM python:3.11-slim
COPY --from=build /venv /venv
ENV PATH="/venv/bin:$PATH" HOME=/tmp PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 ORT_DISABLE_TELEMETRY=1
USER 10001:10001
WORKDIR /tmp
EXPOSE 3000
HEALTHCHECK --start-period=20s --interval=15s --timeout=5s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:3000/readyz', timeout=4)"]
ENTRYPOINT ["pct", "serve", "--host", "0.0.0.0"]
CMD ["/model"]
