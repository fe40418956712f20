#!/usr/bin/env python3
"""The program bitstage-server under clients that were not written here: tritonclient, grpcio and grpcurl.

Needs nothing but the standard library; what a client is missing for is skipped, saying so. Environment:
  BITSTAGE_SERVER            the program (default: build/release/bin/bitstage-server)
  BITSTAGE_TINY_REPOSITORY   the program that writes the tiny model's repository (default: beside the server)
  BITSTAGE_TEST_REPOSITORY   a repository of real models (default: deploy/models)
  GRPCURL                    grpcurl (default: on the path)
"""
import io
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import unittest
import urllib.error
import urllib.request

try:
    import numpy as np
    import tritonclient.grpc as triton
    from tritonclient.utils import InferenceServerException
except ImportError as missing:
    triton, WHY_NO_TRITON = None, f"SKIPPED FOR LACK OF A CLIENT: {missing}"
else:
    WHY_NO_TRITON = ""
try:
    import grpc
except ImportError:
    grpc = None
try:
    from PIL import Image
except ImportError:
    Image = None

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERVER = os.environ.get("BITSTAGE_SERVER", str(ROOT / "build/release/bin/bitstage-server"))
TINY = os.environ.get("BITSTAGE_TINY_REPOSITORY", str(pathlib.Path(SERVER).with_name("write_tiny_repository")))
REAL = os.environ.get("BITSTAGE_TEST_REPOSITORY", str(ROOT / "deploy/models"))
GRPCURL = os.environ.get("GRPCURL") or shutil.which("grpcurl")


class RunningServer:
    """The program on ports that the system chose; its log is read until it is ready."""

    def __init__(self, repository, *flags):
        self.process = subprocess.Popen(
            [SERVER, "--model-repository", repository, "--host", "127.0.0.1", "--grpc-port", "0", "--metrics-port", "0",
             *flags], stderr=subprocess.PIPE, text=True)
        self.log, self.ports = [], {}
        for line in self.process.stderr:
            self.log.append(line)
            found = re.search(r"listening on \S+:(\d+) \((gRPC|metrics)\)", line)
            if found:
                self.ports[found[2]] = int(found[1])
            if " ready: " in line or "not ready" in line:
                break
        self.address = f"127.0.0.1:{self.ports.get('gRPC')}"
        # Whoever does not read a pipe blocks the writer.
        self.reader = threading.Thread(target=lambda: self.log.extend(self.process.stderr), daemon=True)
        self.reader.start()

    def get(self, path):
        return urllib.request.urlopen(f"http://127.0.0.1:{self.ports['metrics']}{path}", timeout=10).read().decode()

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        code = self.process.wait(timeout=60)
        self.reader.join()
        self.process.stderr.close()
        return code


class TinyRepository(unittest.TestCase):
    """Sums of colours: see tests/server/tiny_model.h."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        subprocess.run([TINY, cls.folder.name], check=True)
        cls.server = RunningServer(cls.folder.name, "--max-message-bytes", "1000000")

    @classmethod
    def tearDownClass(cls):
        code = cls.server.stop()
        cls.folder.cleanup()
        assert code == 0, code


class Program(unittest.TestCase):
    def run_to_end(self, *arguments):
        return subprocess.run([SERVER, *arguments], capture_output=True, text=True, timeout=60)

    def test_help_and_version(self):
        self.assertIn("--model-repository DIR", self.run_to_end("--help").stdout)
        self.assertRegex(self.run_to_end("--version").stdout, r"^bitstage-server \d+\.\d+\.\d+\n$")

    def test_bad_flags_end_with_2_and_words(self):
        for arguments in ([], ["--ports", "1"], ["--model-repository", "m", "--grpc-port", "many"]):
            ended = self.run_to_end(*arguments)
            self.assertEqual(ended.returncode, 2, ended.stderr)
            self.assertIn("bitstage-server: ", ended.stderr)

    def test_a_repository_that_is_not_there_ends_with_1(self):
        ended = self.run_to_end("--model-repository", "/nowhere/at/all", "--grpc-port", "0", "--metrics-port", "0")
        self.assertEqual(ended.returncode, 1, ended.stderr)
        self.assertIn("cannot list '/nowhere/at/all'", ended.stderr)

    def test_sigint_stops_it_as_sigterm_does(self):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([TINY, folder], check=True)
            for how in (signal.SIGINT, signal.SIGTERM):
                server = RunningServer(folder)
                self.assertEqual(server.stop(how), 0, server.log)


class Metrics(TinyRepository):
    def test_metrics_are_at_their_path_and_nowhere_else(self):
        text = self.server.get("/metrics")
        for name in ("bitstage_build_info{", 'bitstage_model_weight_bytes{model="tiny",version="3"} ',
                     "process_resident_memory_bytes ", 'phase="decode"'):
            self.assertIn(name, text)
        with self.assertRaises(urllib.error.HTTPError) as refused:
            self.server.get("/")
        self.assertEqual(refused.exception.code, 404)


@unittest.skipIf(triton is None, WHY_NO_TRITON)
class TritonClient(TinyRepository):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.client = triton.InferenceServerClient(cls.server.address)

    def infer(self, array, datatype, outputs=None, model="tiny", **options):
        tensor = triton.InferInput("image", array.shape, datatype)
        tensor.set_data_from_numpy(array)
        return self.client.infer(model, [tensor], outputs=outputs, **options)

    def planes(self):
        return np.repeat(np.array([1, 2, 3], np.float32), 16).reshape(1, 3, 4, 4)

    def test_lists_and_describes(self):
        self.assertTrue(self.client.is_server_live())
        self.assertTrue(self.client.is_server_ready())
        self.assertTrue(self.client.is_model_ready("tiny"))
        self.assertTrue(self.client.is_model_ready("tiny", "3"))
        self.assertFalse(self.client.is_model_ready("huge"))
        self.assertEqual(self.client.get_server_metadata().name, "bitstage")
        metadata = self.client.get_model_metadata("tiny", as_json=True)
        self.assertEqual(metadata["inputs"], [{"name": "image", "datatype": "FP32", "shape": ["-1", "3", "4", "4"]}])

    def test_infers_tensors_pixels_and_pictures(self):
        planes = self.planes()
        answers = [self.infer(planes, "FP32"), self.infer(planes.astype(np.uint8), "UINT8"),
                   self.infer(planes.astype(np.uint8).transpose(0, 2, 3, 1).copy(), "UINT8")]
        if Image is not None:
            picture = Image.new("RGB", (17, 9), (1, 2, 3))
            encoded = io.BytesIO()
            picture.save(encoded, "PNG")
            answers.append(self.infer(np.array([encoded.getvalue()], dtype=np.object_), "BYTES"))
        for answer in answers:
            np.testing.assert_array_equal(answer.as_numpy("scores"), [[16, 32, 48]])
            np.testing.assert_array_equal(answer.as_numpy("class"), [[2]])

    @unittest.skipIf(Image is None, "SKIPPED FOR LACK OF A CLIENT: PIL")
    def test_infers_a_jpeg(self):
        encoded = io.BytesIO()
        Image.new("RGB", (64, 64), (200, 30, 30)).save(encoded, "JPEG", quality=95)
        answer = self.infer(np.array([encoded.getvalue()], dtype=np.object_), "BYTES")
        np.testing.assert_allclose(answer.as_numpy("scores"), [[3200, 480, 480]], atol=16 * 3)

    def test_classifies(self):
        answer = self.infer(self.planes(), "FP32", [triton.InferRequestedOutput("scores", class_count=2)])
        self.assertEqual(answer.as_numpy("scores").tolist(), [[b"48.000000:2:blue", b"32.000000:1:green"]])

    def test_refuses_in_words_and_answers_the_next_request_with_the_same_bits(self):
        before = self.infer(self.planes(), "FP32").as_numpy("scores").tobytes()
        for code, text, call in [
                ("NOT_FOUND", "Request for unknown model: 'huge' is not found",
                 lambda: self.infer(self.planes(), "FP32", model="huge")),
                ("INVALID_ARGUMENT", "unexpected shape for input 'image'",
                 lambda: self.infer(self.planes()[:, :, :2], "FP32")),
                ("INVALID_ARGUMENT", "batch-size must be <= 8",
                 lambda: self.infer(np.zeros((9, 3, 4, 4), np.float32), "FP32")),
                ("INVALID_ARGUMENT", "expected FP32, UINT8 or BYTES",
                 lambda: self.infer(self.planes().astype(np.float64), "FP64")),
                ("INVALID_ARGUMENT", "image 0 of 1: ",
                 lambda: self.infer(np.array([b"no picture"], dtype=np.object_), "BYTES")),
                ("INVALID_ARGUMENT", "unexpected inference output",
                 lambda: self.infer(self.planes(), "FP32", [triton.InferRequestedOutput("logits")])),
                ("UNIMPLEMENTED", "", lambda: self.client.get_model_config("tiny")),
                ("UNIMPLEMENTED", "", lambda: self.client.get_inference_statistics("tiny")),
        ]:
            with self.subTest(text=text), self.assertRaises(InferenceServerException) as refused:
                call()
            self.assertEqual(refused.exception.status(), f"StatusCode.{code}")
            self.assertIn(text, refused.exception.message())
            self.assertEqual(self.infer(self.planes(), "FP32").as_numpy("scores").tobytes(), before)

    def test_an_id_of_any_script_comes_back(self):
        for request_id in ("7", "заявка-\u2713", "i" * 4096):
            self.assertEqual(self.infer(self.planes(), "FP32", request_id=request_id).get_response().id, request_id)

    def test_counts_what_it_answered(self):
        self.infer(self.planes(), "FP32")
        text = self.server.get("/metrics")
        counted = re.search(r'bitstage_requests_total\{code="OK",method="ModelInfer",model="tiny"\} (\d+)', text)
        timed = re.search(r'bitstage_request_duration_seconds_count\{model="tiny",phase="total"\} (\d+)', text)
        self.assertGreaterEqual(int(counted[1]), 1)
        self.assertEqual(counted[1], timed[1])
        self.assertIn("bitstage_in_flight_requests 0", text)

    def test_serves_on_while_it_drains_and_says_not_ready(self):
        server = RunningServer(self.folder.name, "--drain-delay-ms", "1000")
        client = triton.InferenceServerClient(server.address)
        tensor = triton.InferInput("image", [1, 3, 4, 4], "FP32")
        tensor.set_data_from_numpy(self.planes())
        server.process.send_signal(signal.SIGTERM)
        while client.is_server_ready():
            client.infer("tiny", [tensor])
        self.assertTrue(client.is_server_live())
        for _ in range(20):
            client.infer("tiny", [tensor])
        self.assertEqual(server.process.wait(timeout=60), 0)
        server.stop()


@unittest.skipIf(grpc is None or triton is None, "SKIPPED FOR LACK OF A CLIENT: grpcio and tritonclient")
class Grpcio(TinyRepository):
    def call(self, method, message, **options):
        with grpc.insecure_channel(self.server.address) as channel:
            return channel.unary_unary(f"/inference.GRPCInferenceService/{method}")(message, timeout=30, **options)

    def test_a_gzip_bomb_is_refused_unopened(self):
        def resident():
            return int(re.search(r"process_resident_memory_bytes (\d+)", self.server.get("/metrics"))[1])

        bomb = b"\x3a" + b"\x80\x80\x80\x20" + b"\0" * (64 << 20)  # raw_input_contents of 64 MiB
        before = resident()
        with self.assertRaises(grpc.RpcError) as refused:
            self.call("ModelInfer", bomb, compression=grpc.Compression.Gzip)
        self.assertEqual(refused.exception.code(), grpc.StatusCode.UNIMPLEMENTED)
        self.assertLess(resident() - before, 16 << 20)

    def test_a_message_above_the_limit_is_refused(self):
        with self.assertRaises(grpc.RpcError) as refused:
            self.call("ModelInfer", b"\x3a" + b"\x80\x80\x80\x01" + b"\0" * (2 << 20))
        self.assertEqual(refused.exception.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)

    def test_bytes_that_are_no_message_are_refused_and_hurt_nobody(self):
        for message in (b"\xff" * 100, b"\x0a\x05a", b"\x0a\x02\xff\xfe"):
            with self.assertRaises(grpc.RpcError):
                self.call("ModelInfer", message)
        self.assertEqual(self.call("ServerLive", b""), b"\x08\x01")


@unittest.skipIf(not GRPCURL, "SKIPPED FOR LACK OF A CLIENT: grpcurl")
class Grpcurl(TinyRepository):
    def grpcurl(self, *arguments):
        """Options first; the address goes before the rest."""
        options = [a for a in arguments if a.startswith("-") or a.startswith("{")]
        rest = [a for a in arguments if a not in options]
        return subprocess.run([GRPCURL, "-plaintext", *options, self.server.address, *rest], capture_output=True,
                              text=True, timeout=60)

    def test_reflection_lists_and_describes_every_service(self):
        services = self.grpcurl("list").stdout.split()
        for service in ("inference.GRPCInferenceService", "grpc.health.v1.Health"):
            self.assertIn(service, services)
            self.assertIn("rpc ", self.grpcurl("describe", service).stdout)

    def test_health_is_checked(self):
        self.assertIn("SERVING", self.grpcurl("grpc.health.v1.Health/Check").stdout)
        unknown = self.grpcurl("-d", '{"service": "huge"}', "grpc.health.v1.Health/Check")
        self.assertIn("NotFound", unknown.stderr)

    def test_infers_typed_contents(self):
        request = {"model_name": "tiny", "inputs": [
            {"name": "image", "datatype": "FP32", "shape": [1, 3, 4, 4], "contents": {"fp32_contents": [1] * 48}}],
            "outputs": [{"name": "class"}]}
        answered = self.grpcurl("-d", json.dumps(request), "inference.GRPCInferenceService/ModelInfer")
        answer = json.loads(answered.stdout)
        self.assertEqual(answer["outputs"][0]["shape"], ["1", "1"])
        raw = answer.get("rawOutputContents") or answer["raw_output_contents"]  # by the version of grpcurl
        self.assertEqual(raw, ["AAAAAAAAAAA="])


@unittest.skipIf(triton is None, WHY_NO_TRITON)
@unittest.skipIf(not pathlib.Path(REAL).is_dir(), f"SKIPPED FOR LACK OF DATA: no repository {REAL}")
class RealModels(unittest.TestCase):
    def test_every_model_answers_the_same_twice(self):
        server = RunningServer(REAL)
        client = triton.InferenceServerClient(server.address)
        for folder in sorted(pathlib.Path(REAL).iterdir()):
            if not folder.is_dir():
                continue
            with self.subTest(model=folder.name):
                metadata = client.get_model_metadata(folder.name)
                inputs = []
                for spec in metadata.inputs:
                    tensor = triton.InferInput(spec.name, [2, *spec.shape[1:]], spec.datatype)
                    values = np.random.default_rng(1).normal(size=[1, *spec.shape[1:]]).astype(np.float32)
                    tensor.set_data_from_numpy(np.concatenate([values, values]))
                    inputs.append(tensor)
                first, second = (client.infer(folder.name, inputs) for _ in range(2))
                for output in metadata.outputs:
                    batch = first.as_numpy(output.name)
                    np.testing.assert_array_equal(batch, second.as_numpy(output.name))
                    np.testing.assert_array_equal(batch[0], batch[1])
        self.assertEqual(server.stop(), 0)


if __name__ == "__main__":
    unittest.main()
