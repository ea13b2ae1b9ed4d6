"""Clients with a round-trip time: their handshakes are under way while a reload removes the listener.

On loopback a handshake ends within the connect(2) of the client, so no packet of it arrives during a reload. Here the
clients are packets on a tun device (tun(4), tcp(7)), and each ACK is sent when the test wants it.
"""

import fcntl
import os
import select
import socket
import stat
import struct
import subprocess
import time

from clients import listing
from harness import PORT, ROOT, check, expect
from host import CONFIG, baseline, run, write, write_config

TUN = "/dev/net/tun"
SERVER, CLIENT = "10.91.0.1", "10.91.0.2"
REMOVED = PORT + 3
CLIENTS = 400
LATE = 20               # of these the handshakes that end after the reload
ROUNDS = 5

SYN, RST, PSH, ACK = 2, 4, 8, 16
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total >> 16) + (total & 0xFFFF)
    return ~total & 0xFFFF


class Network:
    """The far end of a tun device: it sends and receives TCP segments of CLIENT."""

    def __init__(self):
        if not os.path.exists(TUN):
            os.makedirs(os.path.dirname(TUN), exist_ok=True)
            os.mknod(TUN, stat.S_IFCHR | 0o600, os.makedev(10, 200))
        self.fd = os.open(TUN, os.O_RDWR)
        fcntl.ioctl(self.fd, TUNSETIFF, struct.pack("16sH", b"distant", IFF_TUN | IFF_NO_PI))
        run("ip", "address", "add", f"{SERVER}/24", "dev", "distant")
        run("ip", "link", "set", "distant", "txqueuelen", "4096", "up")
        self.ends = socket.inet_aton(CLIENT) + socket.inet_aton(SERVER)

    def close(self):
        os.close(self.fd)

    def send(self, port, sequence, acknowledged, flags, data=b""):
        def segment(check_sum):
            return struct.pack("!HHIIBBHHH", port, REMOVED, sequence, acknowledged, 5 << 4, flags, 64000, check_sum, 0) + data
        plain = segment(0)
        tcp = segment(checksum(self.ends + struct.pack("!BBH", 0, 6, len(plain)) + plain))

        def header(check_sum):
            return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, check_sum) + self.ends
        os.write(self.fd, header(checksum(header(0))) + tcp)

    def receive(self, seconds):
        """Yields (client port, sequence, flags, data) for so long."""
        end = time.monotonic() + seconds
        while select.select([self.fd], [], [], max(0, end - time.monotonic()))[0]:
            packet = os.read(self.fd, 65536)
            if packet[0] >> 4 != 4 or packet[9] != 6:
                continue
            tcp = packet[(packet[0] & 15) * 4:struct.unpack("!H", packet[2:4])[0]]
            _, port, sequence, _, offset, flags = struct.unpack("!HHIIBB", tcp[:14])
            yield port, sequence, flags, tcp[(offset >> 4) * 4:]


def handshakes_during_a_reload(network, ports, duration):
    """Completes the handshakes while a reload, which takes about so long, removes the listener. Returns the outcome for
    each client."""
    for port in ports:
        network.send(port, 1000, 0, SYN)
    server = {}
    for port, sequence, flags, _ in network.receive(1):
        if flags & (SYN | ACK) == SYN | ACK:
            server[port] = (sequence + 1) & 0xFFFFFFFF
            if len(server) == len(ports):
                break
    expect(len(server) == len(ports), f"{len(server)} of {len(ports)} SYNs were answered")
    write_config()
    reload = subprocess.Popen(["systemctl", "reload", "hftpd"])
    begun = time.monotonic()
    for number, port in enumerate(ports[:-LATE]):
        while reload.poll() is None and time.monotonic() < begun + 1.5 * duration * number / len(ports):
            pass
        network.send(port, 1001, server[port], ACK)
    expect(reload.wait() == 0, "the reload failed")
    for port in ports[-LATE:]:
        network.send(port, 1001, server[port], ACK)
    outcome = {}
    # A client repeats a request that is not acknowledged.
    for _ in range(5):
        for port in [port for port in ports if port not in outcome]:
            network.send(port, 1001, server[port], ACK | PSH, b"help\r\n")
        for port, _, flags, data in network.receive(0.5):
            if flags & RST:
                outcome.setdefault(port, "reset")
            elif data.startswith(b"0 OK"):
                outcome.setdefault(port, "answered")
            if len(outcome) == len(ports):
                break
    for port in ports:
        network.send(port, 1007, server[port], RST)
    return outcome


@check("reload that removes a listener during handshakes of distant clients: each client is answered or reset")
def _(_context):
    baseline()
    network = Network()
    counts = {"answered": 0, "reset": 0}
    try:
        for number in range(ROUNDS):
            write(CONFIG, f'root = "{ROOT}"\nlisten = [{{ address = "[::]:{PORT}" }}, {{ address = "{SERVER}:{REMOVED}" }}]\n')
            begun = time.monotonic()
            run("systemctl", "reload", "hftpd")
            duration = time.monotonic() - begun
            ports = range(2000 + number * CLIENTS, 2000 + (number + 1) * CLIENTS)
            outcome = handshakes_during_a_reload(network, ports, duration)
            silent = [port for port in ports if port not in outcome]
            expect(not silent, f"{len(silent)} of {CLIENTS} clients get neither an answer nor a reset: {silent[:5]}")
            for result in outcome.values():
                counts[result] += 1
    finally:
        network.close()
    expect(counts["answered"], "the listener was closed before every handshake")
    expect(counts["reset"] >= ROUNDS * LATE, "the listener still accepts after the reload")
    expect(listing(), "the remaining listener serves")
    return f"{ROUNDS} reloads, {counts['answered']} clients answered, {counts['reset']} reset, none silent"
