#!/usr/bin/env bash
# Installs what is needed on a bare Debian 12, builds, serves the shipped model, classifies a photo and shows the answer,
# its latency and a few metrics.
#   scripts/run.sh [IMAGE…]      without an IMAGE: a photo of a cat from a Debian package
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install_packages.sh build
[ -f build/release/build.ninja ] || cmake --preset release -DBITSTAGE_BUILD_TESTS=OFF >/dev/null
cmake --build build/release --target bitstage-server bitstage-client bitstage-model -- --quiet |
  { grep -v "no work to do" || true; }

# A photo that is not ours to ship: python3-skimage holds a few; the package is unpacked, not installed.
default_photo() {
  local photos=build/photos
  if ! ls "$photos"/chelsea.png >/dev/null 2>&1; then
    mkdir -p "$photos"
    (
      cd "$photos"
      apt-get download python3-skimage >/dev/null 2>&1 || { apt-get update >/dev/null 2>&1 && apt-get download python3-skimage >/dev/null 2>&1; }
      dpkg-deb --fsys-tarfile python3-skimage_*.deb | tar -x --wildcards --strip-components=7 './usr/lib/python3/dist-packages/skimage/data/*'
    ) || true
    find "$photos" -name chelsea.png -exec cp {} "$photos/chelsea.png" \; 2>/dev/null || true
    rm -f "$photos"/*.deb
  fi
  if [ -f "$photos/chelsea.png" ]; then
    echo "$photos/chelsea.png"
    return
  fi
  local archive="${BITSTAGE_SHARED:-../shared}/data/imagenet/val227_1000.tar"
  if [ -f "$archive" ]; then
    tar -xf "$archive" -C "$photos" "$(tar -tf "$archive" | grep -m1 -i 'jpe\?g$')"
    find "$photos" -iname '*.jp*g' | head -n 1
  fi
}

if [ $# -eq 0 ]; then
  photo=$(default_photo)
  [ -n "$photo" ] || { echo "run.sh: no photo found; name one: scripts/run.sh IMAGE" >&2; exit 1; }
  set -- "$photo"
fi

log=$(mktemp)
build/release/bin/bitstage-server --model-repository deploy/models --host 127.0.0.1 --grpc-port 0 --metrics-port 0 2>"$log" &
server=$!
trap 'kill "$server" 2>/dev/null || true; rm -f "$log"' EXIT

# The server prints its addresses when it serves.
for _ in $(seq 300); do
  grep -q 'info ready' "$log" && break
  kill -0 "$server" 2>/dev/null || { cat "$log" >&2; echo "run.sh: the server did not start" >&2; exit 1; }
  sleep 0.02
done
address=$(sed -n 's/.*listening on \([^ ]*\) (gRPC).*/\1/p' "$log")
metrics=$(sed -n 's/.*listening on \([^ ]*\) (metrics).*/\1/p' "$log")

build/release/bin/bitstage-client --server "$address" status
build/release/bin/bitstage-client --server "$address" classify "$@"
echo
echo "a few of the metrics at http://$metrics/metrics:"
exec 3<>"/dev/tcp/${metrics%:*}/${metrics##*:}"
printf 'GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
grep -E '^(bitstage_model_(weight|arena|file)_bytes|bitstage_request_duration_seconds_(sum|count).*phase="(decode|compute|total)"|bitstage_requests_total.*ModelInfer|process_resident)' <&3 |
  grep -v '"unknown"' | sed 's/^/  /'

kill -TERM "$server"
wait "$server" && echo "the server stopped cleanly (exit 0)"
trap 'rm -f "$log"' EXIT
