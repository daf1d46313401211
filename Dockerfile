# docker build -t tracker-bridge .
# docker run -p 8080:8080 -v bridge:/data -v ./config.toml:/data/config.toml:ro tracker-bridge
FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY bridge bridge
COPY plugins plugins
RUN python -m venv /opt/tracker-bridge \
 && /opt/tracker-bridge/bin/pip install --no-cache-dir --constraint constraints.txt ".[all]"

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /data --create-home bridge
COPY --from=build /opt/tracker-bridge /opt/tracker-bridge
ENV PATH=/opt/tracker-bridge/bin:$PATH PYTHONUNBUFFERED=1
USER bridge
WORKDIR /data
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=3s --start-period=5s CMD \
  ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/readyz', timeout=2)"]
CMD ["tracker-bridge", "serve"]
