"""An OTLP receiver that shares no code with dbintel: grpcio, http.server and the published protobufs.

It writes one JSON object per request to a file: how the request came, and its content as OTLP/JSON (ids in hex,
64-bit integers as strings), or the reason why it could not be decoded. It accepts everything it can decode.

    python otlp_receiver.py OUTPUT_FILE

The first line on standard output is {"grpc": PORT, "http": PORT}. It ends when its standard input is closed, so that
it cannot outlive the test that started it.
"""

import base64
import gzip
import json
import sys
import threading
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import zstandard
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2_grpc as logs_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as metrics_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as traces_grpc

MESSAGE_BYTES_MAX = 64 << 20
GRPC_THREADS = 4
ID_FIELDS = ("traceId", "spanId", "parentSpanId")

REQUESTS = {
    "metrics": (metrics.ExportMetricsServiceRequest, metrics.ExportMetricsServiceResponse),
    "logs": (logs.ExportLogsServiceRequest, logs.ExportLogsServiceResponse),
    "traces": (traces.ExportTraceServiceRequest, traces.ExportTraceServiceResponse),
}


class Record:
    """The output file, one line at a time."""

    def __init__(self, path):
        self._file = open(path, "a", encoding="utf-8")
        self._lock = threading.Lock()

    def write(self, **line):
        with self._lock:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()


def convert_ids(value, convert):
    """OTLP/JSON writes ids in hex where protobuf's JSON mapping has base64."""
    if isinstance(value, dict):
        return {
            key: convert(inner) if key in ID_FIELDS and isinstance(inner, str) else convert_ids(inner, convert)
            for key, inner in value.items()
        }
    return [convert_ids(inner, convert) for inner in value] if isinstance(value, list) else value


def to_json(message):
    return convert_ids(json_format.MessageToDict(message), lambda text: base64.b64decode(text).hex())


def from_json(text, message):
    content = convert_ids(json.loads(text), lambda text: base64.b64encode(bytes.fromhex(text)).decode())
    return json_format.ParseDict(content, message, ignore_unknown_fields=True)


def decompress(encoding, body):
    if encoding in ("", "identity"):
        return body
    if encoding == "gzip":
        return gzip.decompress(body)
    if encoding == "zstd":
        return zstandard.ZstdDecompressor().decompressobj().decompress(body)
    raise ValueError(f"content-encoding {encoding}")


def http_handler(record):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            signal = self.path.removeprefix("/v1/")
            content_type = self.headers.get("content-type", "")
            encoding = self.headers.get("content-encoding", "")
            body = self.rfile.read(int(self.headers["content-length"]))
            line = {"transport": "http", "signal": signal, "content_type": content_type, "encoding": encoding,
                    "wire_bytes": len(body)}
            try:
                request_type, response_type = REQUESTS[signal]
                message = decompress(encoding, body)
                if content_type == "application/json":
                    request, answer = from_json(message, request_type()), b"{}"
                elif content_type == "application/x-protobuf":
                    request, answer = request_type.FromString(message), response_type().SerializeToString()
                else:
                    raise ValueError(f"content-type {content_type}")
                record.write(**line, message_bytes=len(message), request=to_json(request))
                self.answer(200, content_type, answer)
            except Exception as error:  # whatever a decoder finds wrong is what we are here to report
                record.write(**line, error=f"{type(error).__name__}: {error}")
                self.answer(400, "text/plain", str(error).encode())

        def answer(self, status, content_type, body):
            self.send_response(status)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    return Handler


def servicer(base, signal, record):
    class Servicer(base):
        def Export(self, request, context):
            record.write(transport="grpc", signal=signal, message_bytes=request.ByteSize(), request=to_json(request))
            return REQUESTS[signal][1]()

    return Servicer()


def main():
    record = Record(sys.argv[1])
    server = grpc.server(
        futures.ThreadPoolExecutor(GRPC_THREADS), options=[("grpc.max_receive_message_length", MESSAGE_BYTES_MAX)]
    )
    metrics_grpc.add_MetricsServiceServicer_to_server(
        servicer(metrics_grpc.MetricsServiceServicer, "metrics", record), server)
    logs_grpc.add_LogsServiceServicer_to_server(servicer(logs_grpc.LogsServiceServicer, "logs", record), server)
    traces_grpc.add_TraceServiceServicer_to_server(servicer(traces_grpc.TraceServiceServicer, "traces", record), server)
    grpc_port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    http_server = ThreadingHTTPServer(("127.0.0.1", 0), http_handler(record))
    threading.Thread(target=http_server.serve_forever, daemon=True).start()
    print(json.dumps({"grpc": grpc_port, "http": http_server.server_port}), flush=True)
    sys.stdin.read()
    server.stop(grace=None)


if __name__ == "__main__":
    main()
