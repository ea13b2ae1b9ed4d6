"""Clients of the daemon."""

import hashlib
import socket
import threading
import time

from harness import PORT, expect
from host import wait

LOAD_CLIENTS = 4
MIN_CONNECTIONS = 500


def connect(port=PORT, host="127.0.0.1", timeout=20, buffer=None):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    client = socket.socket(family, socket.SOCK_STREAM)
    client.settimeout(timeout)
    if buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    client.connect((host, port))
    return client


def listing(port=PORT, host="127.0.0.1"):
    """The names in the answer to get_file_listing."""
    with connect(port, host) as client:
        client.sendall(b"get_file_listing\r\n")
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            data = client.recv(65536)
            expect(data, f"the listing ends early: {answer!r}")
            answer += data
    expect(answer.startswith(b"0 OK\r\n"), f"the listing begins with {answer[:40]!r}")
    return answer.decode().split("\r\n")[1:-2]


def is_refused(port):
    """Whether connections to the port are refused. A connection that is not accepted may also time out."""
    try:
        connect(port, timeout=1).close()
    except ConnectionRefusedError:
        return True
    except (TimeoutError, ConnectionResetError):
        pass
    return False


class Transfer(threading.Thread):
    """Fetches a whole file, and pauses after its first bytes until release() is called."""

    def __init__(self, name, size, digest, port=PORT):
        super().__init__(daemon=True)
        self.file, self.size, self.digest, self.port = name, size, digest, port
        self.started, self.released = threading.Event(), threading.Event()
        self.outcome = None
        self.start()
        expect(self.started.wait(20), "the transfer does not start")

    def run(self):
        try:
            self.outcome = self.fetch()
        except OSError as error:
            self.outcome = f"{type(error).__name__} {error}"
        self.started.set()

    def fetch(self):
        with connect(self.port, timeout=60, buffer=65536) as client:
            client.sendall(f"get_slice {self.file} 0 {self.size} raw\r\n".encode())
            head = f"0 OK\r\nContent-Length: {self.size}\r\n\r\n".encode()
            data = b""
            while len(data) < len(head):
                more = client.recv(len(head) - len(data))
                if not more:
                    return f"closed within the header: {data!r}"
                data += more
            if data != head:
                return f"header {data!r}"
            digest, left = hashlib.sha256(), self.size
            while left:
                more = client.recv(min(left, 65536))
                if not more:
                    return f"cut with {left} bytes left"
                digest.update(more)
                left -= len(more)
                self.started.set()
                self.released.wait(120)
            return "complete" if digest.hexdigest() == self.digest else "wrong bytes"

    def release(self):
        self.released.set()
        self.join(60)
        return self.outcome


class Load:
    """Clients that connect without pause and send one request a connection. It counts the outcomes."""

    def __init__(self, port=PORT):
        self.port = port
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.count = {"ok": 0, "refused": 0, "reset": 0, "wrong": 0, "timeout": 0}
        self.failures = []      # (kind, time of connect() or None, time of the failure, text)
        self.slowest = 0.0
        self.threads = [threading.Thread(target=self.connect_repeatedly, daemon=True) for _ in range(LOAD_CLIENTS)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        self.wait_answers(MIN_CONNECTIONS // 2)
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join(30)

    def connect_repeatedly(self):
        while not self.stop.is_set():
            begun, connected = time.monotonic(), None
            try:
                with connect(self.port) as client:
                    connected = time.monotonic()
                    client.sendall(b"get_metadata a10\r\n")
                    answer = b""
                    while answer.count(b"\r\n") < 2 and (data := client.recv(100)):
                        answer += data
                if answer == b"0 OK\r\n10\r\n":
                    kind, text = "ok", ""
                else:
                    kind, text = ("wrong", repr(answer)) if answer else ("reset", "closed without an answer")
            except ConnectionRefusedError as error:
                kind, text = "refused", str(error)
            except TimeoutError as error:
                kind, text = "timeout", str(error)
            except OSError as error:
                kind, text = "reset", str(error)
            with self.lock:
                now = time.monotonic()
                self.count[kind] += 1
                self.slowest = max(self.slowest, now - begun)
                if kind != "ok":
                    self.failures.append((kind, connected, now, text))
            if kind == "refused":
                time.sleep(0.001)       # a closed port would otherwise give thousands of failures

    def wait_answers(self, count):
        """Waits for so many more answers."""
        target = self.count["ok"] + count
        wait(f"{count} more answers", lambda: self.count["ok"] >= target, 60)

    def row(self):
        return dict(self.count, slowest=f"{self.slowest * 1000:.0f} ms")

