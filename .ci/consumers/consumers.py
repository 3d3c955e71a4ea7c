"""The check of .ci/consumers/run: a forwarder that records a trace, and the clients."""

import collections
import json
import pathlib
import select
import socket
import subprocess
import sys
import threading

import pycares

ZONE = "pod.cluster.local"
NXDOMAIN = 3
# A limit for slow machines; the test asserts the trace, not times.
PATIENCE_SECONDS = 240
PODS = [("default", "web-0", ["10.42.2.46", "fd00::7"]), ("kong", "proxy-0", ["10.42.3.1"])]

# The programs that use a name, the name, and its addresses.
FORMS = [
    ("tofu-controller, Spark, MPI, SPIRE", "10-42-2-46.default.pod.cluster.local", "10.42.2.46"),
    ("Kong ingress controller", "10-42-3-1.kong.pod", "10.42.3.1"),
    ("akka, pekko, libcluster, ekka on IPv4", "10-42-2-46.default.pod.cluster.local", "10.42.2.46"),
    ("dashed IPv6", "fd00--7.default.pod.cluster.local", "fd00::7"),
    ("a name with a trailing dot", "10-42-2-46.default.pod.cluster.local.", "10.42.2.46"),
    ("Telepresence, Pod Certificates", "web-0.default.pod.cluster.local", "10.42.2.46 fd00::7"),
    ("a pod that is gone", "10-42-9-9.default.pod.cluster.local", ""),
]
# akka and others replace dots only, so an IPv6 address keeps its colons.
COLONS = ("akka, libcluster, ekka on IPv6", "fd00::7.default.pod.cluster.local", "fd00::7")
# These refuse such a name before they send a query; musl sends it.
REFUSES_COLONS = {"glibc", "go", "c-ares"}


def question(message):
    """Returns the name, the type, and the end of the question."""
    labels, at = [], 12
    while message[at]:
        labels.append(message[at + 1:at + 1 + message[at]].decode("latin-1"))
        at += 1 + message[at]
    return ".".join(labels).lower(), int.from_bytes(message[at + 1:at + 3], "big"), at + 5


def name_error(query):
    """Returns the response of CoreDNS for a name of the zone of the cluster that does not exist: NXDOMAIN with the SOA."""
    end = question(query)[2]
    text = b"\x07cluster\x05local\x00"
    data = b"\x02ns\x03dns" + text + b"\x0ahostmaster" + text + bytes(16) + (5).to_bytes(4, "big")
    soa = text + b"\x00\x06\x00\x01\x00\x00\x00\x05" + len(data).to_bytes(2, "big") + data
    return query[:2] + bytes([0x85, 0x80 | NXDOMAIN]) + b"\x00\x01\x00\x00\x00\x01\x00\x00" + query[12:end] + soa


class Forwarder:
    """Forwards the zone of pods to poddnsd and answers the rest, as a CoreDNS with such a server block does."""

    def __init__(self, pods):
        self.pods, self.trace, self.lock = pods, [], threading.Lock()
        self.listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.listener.bind(("127.0.0.1", 53))
        threading.Thread(target=self.forward, daemon=True).start()

    def forward(self):
        waiting = {}
        while True:
            ready, _, _ = select.select([self.listener, *waiting], [], [])
            for sock in ready:
                if sock is not self.listener:
                    answer = sock.recv(65535)
                    self.answer(answer, waiting.pop(sock))
                    sock.close()
                    continue
                query, client = self.listener.recvfrom(65535)
                name, kind, _ = question(query)
                with self.lock:
                    self.trace.append(("asked", name, kind))
                if name == ZONE or name.endswith("." + ZONE):
                    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                    out.connect(self.pods)
                    out.send(query)
                    waiting[out] = client
                else:
                    self.answer(name_error(query), client)

    def answer(self, answer, client):
        name, kind, _ = question(answer)
        with self.lock:
            self.trace.append((answer[3] & 15, name, kind))
        self.listener.sendto(answer, client)

    def take(self):
        with self.lock:
            trace, self.trace = self.trace, []
        return trace


def program(path):
    def resolve(name):
        done = subprocess.run([path, name], capture_output=True, text=True, timeout=PATIENCE_SECONDS)
        return done.stdout.split("\n")[:-1]
    return resolve


def c_ares(name):
    """Resolves A and AAAA in parallel, with the search list of resolv.conf."""
    channel, done, found = pycares.Channel(), threading.Event(), []

    def callback(result, error):
        found.extend([pycares.errno.strerror(error)] if error else [node.addr[0] for node in result.nodes])
        done.set()

    channel.getaddrinfo(name, None, family=socket.AF_UNSPEC, type=socket.SOCK_STREAM, callback=callback)
    assert done.wait(PATIENCE_SECONDS), "no callback"
    channel.close()
    return [each.decode() if isinstance(each, bytes) else each for each in found]


def expected_names(name):
    """Returns the names that a resolver tries with ndots:5, in order, up to the one that exists."""
    if name.endswith("."):
        return [name[:-1]]
    searched = [f"{name}.{each}" for each in ("team.svc.cluster.local", "svc.cluster.local", "cluster.local")]
    if name.endswith(".pod"):
        return searched
    return [*searched, name]


def check(client, resolve, forwarder, form):
    who, name, wanted = form
    found = resolve(name)
    trace = forwarder.take()
    shown = f"{client}: {who}: {name}"
    addresses = sorted(each for each in found if "." in each and each[0].isdigit() or ":" in each)
    if addresses != sorted(wanted.split()):
        raise SystemExit(f"{shown}: found {found}, wanted {wanted!r}; {trace}")
    asked = collections.Counter(entry[1:] for entry in trace if entry[0] == "asked")
    answered = collections.Counter(entry[1:] for entry in trace if entry[0] != "asked")
    if asked != answered:
        raise SystemExit(f"{shown}: asked {asked}, answered {answered}")
    # A repeated question means a time-out.
    if any(count > 1 for count in asked.values()):
        raise SystemExit(f"{shown}: repeated: {asked}")
    order = list(dict.fromkeys(entry[1] for entry in trace if entry[0] == "asked"))
    if order != expected_names(name):
        raise SystemExit(f"{shown}: asked for {order}, wanted {expected_names(name)}")
    kinds = {entry[2] for entry in trace}
    if kinds != {1, 28}:
        raise SystemExit(f"{shown}: types {kinds}")
    # The first names do not exist: the rcode must not make a client stop.
    rcodes = {entry[0] for entry in trace if entry[0] != "asked" and entry[1] in order[:-1]}
    if rcodes - {NXDOMAIN}:
        raise SystemExit(f"{shown}: rcodes {rcodes} before the last name")
    print(f"ok: {shown}: {' '.join(addresses) or 'no such name'} by {sum(asked.values())} queries", flush=True)


def pods_file(work):
    items = [
        {
            "apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": namespace, "name": name, "uid": name},
            "status": {"phase": "Running", "podIP": ips[0], "podIPs": [{"ip": ip} for ip in ips]},
        }
        for namespace, name, ips in PODS
    ]
    path = work / "pods.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    return path


def start(poddnsd, work):
    command = [poddnsd, "--pods-file", str(pods_file(work)), "--pod-names", "--listen=127.0.0.1:0", "--admin=off", "--log-format=json"]
    daemon = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    address = None
    for line in daemon.stderr:
        message = json.loads(line)
        if message.get("message") == "listening over UDP and TCP":
            host, port = message["address"].rsplit(":", 1)
            address = host, int(port)
        if message.get("message") == "ready":
            break
    else:
        sys.exit("poddnsd has ended")
    threading.Thread(target=daemon.stderr.read, daemon=True).start()
    return daemon, address


def main():
    poddnsd, work, build = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    daemon, address = start(poddnsd, work)
    try:
        forwarder = Forwarder(address)
        clients = {name: program(build / name) for name in ("glibc", "musl", "go")}
        clients["c-ares"] = c_ares
        for client, resolve in clients.items():
            for form in FORMS:
                check(client, resolve, forwarder, form)
            who, name, wanted = COLONS
            if client in REFUSES_COLONS:
                found, trace = resolve(name), forwarder.take()
                if trace or any(":" in each for each in found):
                    raise SystemExit(f"{client} sends a query for {name}, so docs/consumers.md is wrong: {found} {trace}")
                print(f"ok: {client}: refuses {name} without a query")
            else:
                check(client, resolve, forwarder, COLONS)
    finally:
        daemon.kill()
        daemon.wait()


if __name__ == "__main__":
    main()
