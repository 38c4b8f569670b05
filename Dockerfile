# quietpixel's page and service: small, not root, and content with a read-only file system.
#
#   docker build -t quietpixel .
#   docker run --rm -p 127.0.0.1:8000:8000 --read-only --cap-drop ALL \
#     -e QUIETPIXEL_TOKEN="$(openssl rand -hex 20)" quietpixel

FROM python:3.11-slim AS build
WORKDIR /source
RUN python -m venv /opt/quietpixel
COPY requirements.lock pyproject.toml README.md LICENSE THIRD_PARTY_NOTICES.md ./
# The lock also holds what only training and tests need: here it says which versions are taken.
RUN sed -E '/^ +--hash/d; s/ \\$//' requirements.lock > constraints.txt
COPY src src
RUN /opt/quietpixel/bin/pip install --no-cache-dir --no-compile -c constraints.txt '.[web]' \
    && /opt/quietpixel/bin/pip uninstall --yes pip setuptools

FROM python:3.11-slim
COPY --from=build /opt/quietpixel /opt/quietpixel
RUN useradd --system --no-create-home --shell /usr/sbin/nologin quietpixel
USER quietpixel
ENV PATH=/opt/quietpixel/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/nonexistent
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s CMD ["python", "-c", \
    "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
STOPSIGNAL SIGTERM
# Without a token (QUIETPIXEL_TOKEN) it does not start; whoever wants it open adds --open.
ENTRYPOINT ["quietpixel", "serve", "--host", "0.0.0.0", "--no-browser"]
