"""The check of .ci/c-ares: a forwarder, a server without cookies, and c-ares as client."""

import json
import select
import socket
import subprocess
import sys
import threading

import pycares

COOKIE = 10


def name_end(packet, at=12):
    while packet[at]:
        at += 1 + packet[at]
    return at + 1


def is_pod_name(query):
    return b"\x03pod\x07cluster\x05local\x00" in query[12:name_end(query)].lower()


def plain_answer(query):
    """Returns the response of a server without cookies: one address, and an OPT without options if the query has one."""
    end = name_end(query) + 4
    has_opt = query[11] == 1
    header = query[:2] + b"\x81\x80" + bytes([0, 1, 0, 1, 0, 0, 0, int(has_opt)])
    address = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\xcb\x00\x71\x07"
    opt = b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00" if has_opt else b""
    return header + query[12:end] + address + opt


def forward(listener, pods, stats):
    """Forwards queries and responses unchanged."""
    upstream = {}
    while True:
        ready, _, _ = select.select([listener, *upstream], [], [])
        for sock in ready:
            if sock is listener:
                query, client = listener.recvfrom(65535)
                stats["cookies asked"] += bytes([0, COOKIE, 0, 8]) in query or bytes([0, COOKIE, 0, 24]) in query
                if not is_pod_name(query):
                    listener.sendto(plain_answer(query), client)
                    continue
                out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                out.connect(pods)
                out.send(query)
                upstream[out] = client
            else:
                answer = sock.recv(65535)
                stats["cookies given"] += bytes([0, COOKIE, 0, 24]) in answer
                listener.sendto(answer, upstream.pop(sock))
                sock.close()


def resolve(channel, name):
    """Returns the addresses of a name, or the error of c-ares."""
    done = threading.Event()
    result = []

    def callback(answer, error):
        result.append((answer, error))
        done.set()

    channel.query(name, pycares.QUERY_TYPE_A, callback=callback)
    if not done.wait(60):
        return "no callback"
    answer, error = result[0]
    return pycares.errno.strerror(error) if error is not None else [record.data.addr for record in answer.answer]


def check(poddnsd, arguments):
    """Returns the results for two names, resolved in turn, and the number of cookies in queries and responses."""
    daemon = subprocess.Popen(
        [poddnsd, "--pods=insecure", "--listen=127.0.0.1:0", "--admin=off", "--log-format=json", *arguments],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for line in daemon.stderr:
            message = json.loads(line)
            if message.get("message") == "listening over UDP and TCP":
                host, port = message["address"].rsplit(":", 1)
                break
        else:
            sys.exit("poddnsd has ended")
        threading.Thread(target=daemon.stderr.read, daemon=True).start()
        listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        listener.bind(("127.0.0.1", 0))
        stats = {"cookies asked": 0, "cookies given": 0}
        threading.Thread(target=forward, args=(listener, (host, int(port)), stats), daemon=True).start()
        forwarder = f"127.0.0.1:{listener.getsockname()[1]}"
        channel = pycares.Channel(servers=[forwarder], timeout=1.0, tries=3, flags=pycares.ARES_FLAG_EDNS)
        pod = resolve(channel, "10-42-2-46.default.pod.cluster.local")
        service = resolve(channel, "web.default.svc.cluster.local")
        channel.close()
        return pod, service, stats
    finally:
        daemon.kill()
        daemon.wait()


def main():
    poddnsd = sys.argv[1]
    print("c-ares", pycares.__version__)
    pod, service, stats = check(poddnsd, [])
    print("by default:", pod, service, stats)
    assert stats["cookies asked"] > 0, "this c-ares sends no cookies, so the check does not work"
    assert stats["cookies given"] == 0, stats
    assert (pod, service) == (["10.42.2.46"], ["203.0.113.7"]), (pod, service)
    # With cookies for every client, c-ares must discard the answer: otherwise the check does not work.
    pod, service, stats = check(poddnsd, ["--rate-limit-exempt=none"])
    print("with cookies for all:", pod, service, stats)
    assert stats["cookies given"] > 0, stats
    assert pod == ["10.42.2.46"] and service != ["203.0.113.7"], (pod, service)


main()
