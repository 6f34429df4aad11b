# Drives `squall proxy` by toxiproxy-python, and prints `done` or what was wrong.
#
#     python client.py API_ADDRESS ECHO_ADDRESS

import socket
import sys
import time
import traceback

from toxiproxy import Toxiproxy
from toxiproxy.api import APIConsumer
from toxiproxy.exceptions import InvalidToxic, NotFound, ProxyExists

TOXICS = {
    "bandwidth": {"rate": 1000},
    "latency": {"latency": 300, "jitter": 0},
    "limit_data": {"bytes": 3},
    "reset_peer": {"timeout": 0},
    "slicer": {"average_size": 2, "size_variation": 1, "delay": 10},
    "slow_close": {"delay": 20},
    "timeout": {"timeout": 50},
}


def fails(expected, ask, *args, **kwargs):
    try:
        ask(*args, **kwargs)
    except expected:
        return
    raise AssertionError("no %s" % expected.__name__)


def echo(proxy, text=b"abcdef"):
    """What comes back of a text through a proxy, and after how long."""
    since = time.monotonic()
    host, port = proxy.listen.split(":")
    heard = b""
    with socket.create_connection((host, int(port)), timeout=60) as stream:
        stream.sendall(text)
        while len(heard) < len(text):
            some = stream.recv(100)
            if not some:
                break
            heard += some
    return heard, time.monotonic() - since


def meets(kind, proxy):
    """What a text meets where one toxic is."""
    if kind == "reset_peer":
        fails(ConnectionResetError, echo, proxy)
        return
    try:
        heard, took_s = echo(proxy)
    except (ConnectionResetError, BrokenPipeError):
        # Whoever is late to send anything finds the connection closed.
        assert kind == "timeout", kind
        return
    expected = {"limit_data": b"abc", "timeout": b""}.get(kind, b"abcdef")
    assert heard == expected, (kind, heard)
    assert kind != "latency" or took_s >= 0.3, took_s


def run(address, upstream):
    toxiproxy = Toxiproxy()
    host, port = address.split(":")
    toxiproxy.update_api_consumer(host, int(port))
    assert toxiproxy.running()
    assert b'"version": "2.' in toxiproxy.version()
    proxy = toxiproxy.create(upstream=upstream, name="feed")
    assert proxy.enabled and proxy.upstream == upstream, vars(proxy)
    fails(ProxyExists, toxiproxy.create, upstream=upstream, name="feed")
    fails(ProxyExists, APIConsumer.post, "/proxies", json={"name": "feed", "upstream": upstream})
    fails(InvalidToxic, APIConsumer.post, "/proxies", json={"name": "other"})
    fails(NotFound, APIConsumer.get, "/proxies/other")
    assert toxiproxy.get_proxy("feed").listen == proxy.listen
    assert echo(proxy)[0] == b"abcdef"

    for kind, attributes in TOXICS.items():
        proxy.add_toxic(type=kind, attributes=attributes)
        toxic = proxy.get_toxic(kind + "_downstream")
        assert toxic.attributes == attributes and toxic.toxicity == 1, vars(toxic)
        fails(ProxyExists, proxy.add_toxic, type=kind, attributes=attributes)
        meets(kind, proxy)
        proxy.destroy_toxic(toxic.name)
        assert proxy.get_toxic(toxic.name) is None
        fails(NotFound, proxy.destroy_toxic, toxic.name)
    fails(InvalidToxic, proxy.add_toxic, type="nobody")
    fails(InvalidToxic, proxy.add_toxic, type="latency", stream="sideways")
    proxy.add_toxic(type="latency", stream="upstream", name="mine", toxicity=0.5)
    assert list(proxy.toxics()) == ["mine"]

    with proxy.down():
        assert not toxiproxy.get_proxy("feed").enabled
        fails(ConnectionRefusedError, echo, proxy)
    assert echo(proxy)[0] == b"abcdef"
    proxy.disable()
    toxiproxy.reset()
    assert toxiproxy.get_proxy("feed").enabled and not proxy.toxics()

    toxiproxy.populate([{"name": "feed", "listen": proxy.listen, "upstream": upstream},
                        {"name": "ranking", "listen": "127.0.0.1:0", "upstream": upstream}])
    assert sorted(toxiproxy.proxies()) == ["feed", "ranking"]
    toxiproxy.destroy_all()
    assert toxiproxy.proxies() == {}
    fails(NotFound, proxy.destroy)


try:
    run(*sys.argv[1:])
    print("done")
except Exception:
    print(traceback.format_exc())
