#!/usr/bin/env python3
"""The tables of docs/benchmarks.md: bitstage beside OpenVINO, ONNX Runtime and oneDNN, taking turns round by round.

  compare.py --build BUILD --work WORK [--quick] [--data DATA] [TABLE…]     (run by scripts/bench.sh)

TABLE: networks, recipes, threads, product, real. What has been measured lies in WORK/results and is not measured again;
remove a file there to do so. Prints Markdown. A ratio is the median of those of single rounds, with the lowest and the
highest; above 1 bitstage is faster. Where these are further apart than 1.5 times the machine was not quiet: the cell says
so in place of a ratio, and the row is measured anew the next time. Ours quantizes the float image and returns float
logits.
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
DEFAULT_RECIPE = ("syq:ternary:layer", "uniform:4/6")
# How OpenVINO and oneDNN are held to a tier of ours. (ONNX Runtime's kernels take no notice.)
HELD = {"avx512_vnni": "AVX512_CORE_VNNI", "avx2": "AVX2"}
UNSTEADY = 1.5  # the highest ratio of a row over its lowest, from which on it says nothing


def note(text):
    print(text, file=sys.stderr, flush=True)


class Peer:
    """A process that times one network in one peer."""

    def __init__(self, name, path, threads, tier, cpus):
        environment = dict(os.environ, **({"ONEDNN_MAX_CPU_ISA": HELD[tier]} if tier in HELD else {}))
        self.process = subprocess.Popen(
            ["taskset", "-c", cpus, sys.executable, f"{HERE}/peer.py", name, path, str(threads)], env=environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        if self.process.stdout.readline().strip() != "ready":
            raise RuntimeError(f"{name} does not run {path}")

    def measure(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Bench:
    def __init__(self, arguments):
        self.tool = f"{arguments.build}/bin/bitstage-model"
        self.work, self.build = arguments.work, arguments.build
        self.rounds = 3 if arguments.quick else 7
        self.quick = arguments.quick
        self.data = arguments.data
        os.makedirs(f"{self.work}/results", exist_ok=True)
        cpus = sorted(os.sched_getaffinity(0))
        self.cpus = lambda threads: ",".join(map(str, cpus[-threads:]))
        refusal = subprocess.run([self.tool, "bench", os.devnull], env=dict(os.environ, BITSTAGE_ISA="?"),
                                 capture_output=True, text=True)
        names = re.search(r"this CPU has ([a-z0-9_, ]+)", refusal.stderr + refusal.stdout)
        self.tiers = [t for t in (names[1].split(", ") if names else ["avx512_vnni", "avx2"]) if t != "reference"][::-1]

    def network(self, name):
        path = f"{self.work}/networks/{name}"
        if not os.path.exists(f"{path}.b8.int8.onnx"):
            subprocess.run([sys.executable, f"{HERE}/topologies.py", f"{self.work}/networks", name], check=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return path

    def quantized(self, source, name, flags):
        path = f"{self.work}/quantized/{name}.bitstage"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if not os.path.exists(path):
            note(f"quantizing {name}")
            subprocess.run([self.tool, "quantize", source, *flags, "-o", path], check=True, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
        return path

    def random_weights(self, net, recipe):
        weights, activations = recipe
        return self.quantized(f"{self.network(net)}.onnx", f"{net}.{weights}.{activations}".replace(":", "-").replace("/", "-"),
                              ["--calibration", "random", "--images", "4", "--weights", weights, "--activations",
                               activations])

    def ours(self, model, batch, threads, tier):
        out = subprocess.run(
            ["taskset", "-c", self.cpus(threads), self.tool, "bench", model, "--batch", str(batch), "--threads",
             str(threads), "--seconds", "0.4", "--json"], env=dict(os.environ, BITSTAGE_ISA=tier), check=True,
            capture_output=True, text=True).stdout
        return json.loads(out.splitlines()[-1])

    def row(self, key, measures):
        """Rounds of every measure in turn, {name: [value of each round]}; from the file where there is one."""
        file_name = f"{key}{'.quick' if self.quick else ''}.json".replace(":", "-").replace("/", "-")
        path = f"{self.work}/results/{file_name}"
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                rounds = json.load(file)
            if is_steady(rounds):
                return rounds
        note(f"measuring {key}, {self.rounds} rounds")
        started = {}
        try:
            for name, start in measures.items():
                started[name] = start()
            rounds = {name: [] for name in started}
            for _ in range(self.rounds):
                for name, measure in started.items():
                    rounds[name].append(measure.measure() if isinstance(measure, Peer) else measure())
        finally:
            for measure in started.values():
                if isinstance(measure, Peer):
                    measure.close()
        with open(path, "w", encoding="utf-8") as file:
            json.dump(rounds, file)
        return rounds

    def beside_peers(self, key, model, peer_model, batch, threads, tier, peers):
        measures = {p: lambda p=p: Peer(p, peer_model, threads, tier, self.cpus(threads)) for p in peers}
        measures["bitstage"] = lambda: lambda: self.ours(model, batch, threads, tier)
        return self.row(key, measures)


def ratios_of(theirs, mine):
    """Of single rounds, rising."""
    return sorted(a / b for a, b in zip(theirs, mine))


def is_steady(rounds):
    times = [[v["ms"] if isinstance(v, dict) else v for v in values] for values in rounds.values()]
    ratios = [ratios_of(a, b) for a in times for b in times]
    return all(r[-1] <= UNSTEADY * r[0] for r in ratios)


def ms(values):
    value = statistics.median(values)
    return f"{value:.3f}" if value < 1 else f"{value:.2f}"


def ratio(theirs, mine):
    ratios = ratios_of(theirs, mine)
    span = f"({ratios[0]:.2f}–{ratios[-1]:.2f})"
    if ratios[-1] > UNSTEADY * ratios[0]:
        return f"unsteady {span}"
    return f"**{statistics.median(ratios):.2f}** {span}"


def print_row(*cells):
    print("| " + " | ".join(cells) + " |", flush=True)


def print_head(title, *cells):
    print(f"\n### {title}\n")
    print_row(*cells)
    print_row(*["---"] * len(cells))


def beside_row(rounds, *cells):
    mine = [r["ms"] for r in rounds["bitstage"]]
    per_cycle = [r["macs_per_cycle"] for r in rounds["bitstage"] if "macs_per_cycle" in r]
    print_row(*cells, ms(mine), f"{statistics.median(per_cycle):.0f}" if per_cycle else "–",
              ms(rounds["openvino"]), ratio(rounds["openvino"], mine), ms(rounds["onnxruntime"]),
              ratio(rounds["onnxruntime"], mine))


PEER_CELLS = ("bitstage, ms", "MAC/cycle", "OpenVINO int8, ms", "ratio", "ONNX Runtime int8, ms", "ratio")


def networks(bench):
    print_head("Random weights, one thread: ternary weights, 4-bit activations on a 6-bit scale, first and last layer 8 bits",
               "network", "batch", "tier", *PEER_CELLS)
    nets = ["resnet18", "resnet50", "mobilenetv2", "squeezenet11", "resnet20"]
    for tier in bench.tiers:
        for net in nets:
            for batch in (1, 8):
                if bench.quick and (batch == 8 or net == "resnet50"):
                    continue
                model = bench.random_weights(net, DEFAULT_RECIPE)
                rounds = bench.beside_peers(f"networks.{tier}.{net}.{batch}", model,
                                            f"{bench.network(net)}.b{batch}.int8.onnx", batch, 1, tier,
                                            ["openvino", "onnxruntime"])
                beside_row(rounds, net, str(batch), tier)


def recipes(bench):
    print_head("ResNet-18, batch 1, one thread, other recipes", "weights", "activations", "tier", *PEER_CELLS)
    for tier in bench.tiers:
        for recipe in (("syq:ternary:row/14", "uniform:4/6"), ("syq:ternary:pixel/14", "uniform:4/6"),
                       ("syq:ternary:layer", "dqa:4"), ("syq:ternary:pixel", "dqa:4"), ("uniform:4", "uniform:4"),
                       ("uniform:8", "uniform:8")):
            model = bench.random_weights("resnet18", recipe)
            rounds = bench.beside_peers(f"recipes.{tier}.{'.'.join(recipe)}", model,
                                        f"{bench.network('resnet18')}.b1.int8.onnx", 1, 1, tier,
                                        ["openvino", "onnxruntime"])
            beside_row(rounds, *recipe, tier)


def threads(bench):
    print_head("ResNet-18, batch 1, two threads", "tier", "one thread, ms", "two threads, ms", "speed-up",
               "OpenVINO, two threads, ms", "ratio")
    if len(os.sched_getaffinity(0)) < 2:
        return note("SKIPPED: threads needs two CPUs")
    model = bench.random_weights("resnet18", DEFAULT_RECIPE)
    peer = f"{bench.network('resnet18')}.b1.int8.onnx"
    for tier in bench.tiers:
        rounds = bench.row(f"threads.{tier}", {
            "one": lambda tier=tier: lambda: bench.ours(model, 1, 1, tier)["ms"],
            "two": lambda tier=tier: lambda: bench.ours(model, 1, 2, tier)["ms"],
            "openvino": lambda tier=tier: Peer("openvino", peer, 2, tier, bench.cpus(2))})
        print_row(tier, ms(rounds["one"]), ms(rounds["two"]), ratio(rounds["one"], rounds["two"]),
                  ms(rounds["openvino"]), ratio(rounds["openvino"], rounds["two"]))


def product(bench):
    print_head("Fully connected 4096 × 4096, batch 1, one thread", "weights", "tier", "bitstage, ms", "oneDNN int8, ms",
               "ratio", "OpenVINO int8, ms", "ratio", "ONNX Runtime int8, ms", "ratio")
    program = f"{bench.work}/onednn_fully_connected"
    if not os.path.exists(program):
        note(f"SKIPPED: product needs {program} (scripts/bench.sh builds it)")
        return
    peer = f"{bench.network('fc4096')}.b1.int8.onnx"
    for tier in bench.tiers:
        environment = dict(os.environ, OMP_NUM_THREADS="1", **({"ONEDNN_MAX_CPU_ISA": HELD[tier]} if tier in HELD else {}))

        def onednn(environment=environment):
            out = subprocess.run(["taskset", "-c", bench.cpus(1), program, "4096", "4096"], env=environment, check=True,
                                 capture_output=True, text=True).stdout
            return json.loads(out)["ms"]

        for label, weights in (("ternary, 2 bits", "uniform:2:layer"), ("4 bits", "uniform:4"), ("8 bits", "uniform:8")):
            model = bench.random_weights("fc4096", (weights, "uniform:4"))
            rounds = bench.row(f"product.{tier}.{weights}", {
                "onednn": lambda: onednn,
                "openvino": lambda tier=tier: Peer("openvino", peer, 1, tier, bench.cpus(1)),
                "onnxruntime": lambda tier=tier: Peer("onnxruntime", peer, 1, tier, bench.cpus(1)),
                "bitstage": lambda tier=tier, model=model: lambda: bench.ours(model, 1, 1, tier)["ms"]})
            mine = rounds["bitstage"]
            print_row(label, tier, ms(mine), *(cell for name in ("onednn", "openvino", "onnxruntime")
                                               for cell in (ms(rounds[name]), ratio(rounds[name], mine))))


def calibration(data, name):
    if name.startswith("cifar10"):
        return ["--calibration", f"{data}/cifar10/data_batch_1_first4000.bin"]
    if name.startswith("mnist"):
        return ["--calibration", f"{data}/mnist/t10k-images-idx3-ubyte.gz", "--calibration-end", "3000"]
    if name.startswith("seg"):
        return ["--calibration", f"{data}/voc/voc_person_120.tar", "--images", "32"]
    return ["--calibration", f"{data}/imagenet/val227_1000.tar", "--calibration-begin", "900"]


def real(bench):
    print_head("Trained networks at bitstage's default recipe, batch 1, one thread", "network", "tier", *PEER_CELLS)
    folder = f"{bench.data}/models"
    if not os.path.isdir(folder):
        note(f"SKIPPED, the table of trained networks: no networks in {folder} (set BITSTAGE_SHARED)")
        print_row("SKIPPED: the test data is absent", *["–"] * 7)
        return
    names = sorted(os.listdir(folder))
    for name in names if not bench.quick else names[:2]:
        source = f"{folder}/{name}/model.onnx"
        model = bench.quantized(source, f"real.{name}", calibration(bench.data, name))
        peer = f"{bench.work}/networks/{name}.int8.onnx"
        os.makedirs(f"{bench.work}/networks", exist_ok=True)
        if not os.path.exists(peer):
            note(f"quantizing {name} for the peers")
            subprocess.run([sys.executable, "-c", "import sys, topologies; topologies.quantize(*sys.argv[1:])", source,
                            peer], env=dict(os.environ, PYTHONPATH=HERE), check=True, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
        for tier in bench.tiers:
            rounds = bench.beside_peers(f"real.{tier}.{name}", model, peer, 1, 1, tier, ["openvino", "onnxruntime"])
            beside_row(rounds, name, tier)
    print("\nThe peers' int8 form of these networks is ONNX Runtime's static QDQ quantization on random images: it is as "
          "fast as one\ncalibrated with care, and says nothing of accuracy.")


def main():
    tables = {"networks": networks, "recipes": recipes, "threads": threads, "product": product, "real": real}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", choices=[*tables, []], default=list(tables))
    parser.add_argument("--build", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--data", default="")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    bench = Bench(arguments)
    for name in arguments.tables or tables:
        try:
            tables[name](bench)
        except (RuntimeError, subprocess.CalledProcessError) as failure:
            note(f"FAILED: table {name}: {failure}")


if __name__ == "__main__":
    main()
