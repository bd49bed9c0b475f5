"""Serves one GGUF file over llama.cpp's HTTP server on a free port of this machine."""

import os
import signal
import socket
import sys

# Threads of the server inherit the mask, so that only `sigwait` below sees the signal.
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})

import xllamacpp  # noqa: E402


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.n_ctx = 8192
params.n_parallel = 2
# Two spinning threads on shared cores are ten times slower than one.
params.cpuparams.n_threads = 1
params.cpuparams_batch.n_threads = 1
# A small model that is not told to stop may go on for its whole context.
params.n_predict = 64
params.sampling.temp = 0.0
params.hostnames = ["127.0.0.1"]
params.port = free_port()
params.warmup = False
params.use_jinja = True
server = xllamacpp.Server(params)
print(f"LISTEN {server.listening_address}", flush=True)
signal.sigwait({signal.SIGTERM, signal.SIGINT})
os._exit(0)
