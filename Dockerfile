# Python 3.10 with OneFlow 0.9.0 and a PyTorch beside it: convert, run, capture and verify in one environment.
#
#     docker build -t torch2flow . && docker run --rm -v "$PWD:/data" torch2flow convert model.pth -o out
FROM python:3.10-slim-bookworm

# OneFlow's library is linked to OpenMP.
RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*

COPY pyproject.toml README.md LICENSE MANIFEST.in /src/
COPY src /src/src
# flowvision's setup.py imports pkg_resources, which setuptools 81 dropped.
RUN echo 'setuptools<81' > /build.txt \
    && pip install --no-cache-dir --upgrade pip \
    && pip install --no-cache-dir --build-constraint /build.txt '/src[all]' \
    && rm -r /src /build.txt

WORKDIR /data
ENTRYPOINT ["torch2flow"]
CMD ["doctor"]
