# Two stages: everything is built on Debian 12 by the project's own scripts, and only what the server needs is kept.
#   docker build -t bitstage .
#   docker run --rm -p 8001:8001 -p 8002:8002 bitstage
FROM debian:bookworm-slim AS build
WORKDIR /src
COPY scripts/install_packages.sh scripts/
RUN scripts/install_packages.sh build
COPY . .
RUN cmake --preset release -DBITSTAGE_BUILD_TESTS=OFF \
 && cmake --build build/release --target bitstage-server bitstage-client \
 && strip build/release/bin/bitstage-server build/release/bin/bitstage-client

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends libgrpc++1.51 libprotobuf32 libprometheus-cpp-core1.0 \
    libprometheus-cpp-pull1.0 libopencv-imgcodecs406 libopencv-imgproc406 libspdlog1.10 zlib1g \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /src/build/release/bin/bitstage-server /src/build/release/bin/bitstage-client /usr/local/bin/
COPY --from=build /src/deploy/models /models
USER 65534
EXPOSE 8001 8002
ENTRYPOINT ["bitstage-server", "--host", "0.0.0.0", "--model-repository", "/models", "--grpc-port", "8001", "--metrics-port", "8002"]
