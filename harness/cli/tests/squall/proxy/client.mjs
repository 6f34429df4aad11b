// Drives `squall proxy` by toxiproxy-node-client, and prints `done` or what was wrong.
//
//     node client.mjs FOLDER_WITH_NODE_MODULES API_ADDRESS ECHO_ADDRESS

import { createRequire } from "node:module";
import assert from "node:assert/strict";
import net from "node:net";

const [, , folder, address, upstream] = process.argv;
const { Toxiproxy } = createRequire(`${folder}/`)("toxiproxy-node-client");
const toxiproxy = new Toxiproxy(`http://${address}`);
const listen = "127.0.0.1:0";

const fails = (asked, status) => assert.rejects(asked, { message: `Request failed with status code ${status}` });

/// Sends a text through a proxy; what comes back up to the end, or to as many bytes, and after how long.
const echo = (proxy, text) =>
  new Promise((resolve, reject) => {
    const since = performance.now();
    const [host, port] = proxy.listen.split(":");
    const socket = net.connect({ host, port: Number(port) });
    let heard = "";
    const end = () => resolve({ heard, tookMs: performance.now() - since });
    socket.on("connect", () => socket.write(text));
    socket.on("data", (bytes) => {
      heard += bytes;
      if (heard.length >= text.length) socket.destroy();
    });
    socket.on("close", end);
    socket.on("error", reject);
    socket.setTimeout(60_000, () => reject(new Error("nothing came for a minute")));
  });

const TOXICS = {
  bandwidth: { rate: 1000 },
  latency: { latency: 300, jitter: 0 },
  limit_data: { bytes: 3 },
  reset_peer: { timeout: 0 },
  slicer: { average_size: 2, size_variation: 1, delay: 10 },
  slow_close: { delay: 20 },
  timeout: { timeout: 50 },
};

/// What a text meets where one toxic is.
const meets = {
  bandwidth: async (proxy) => assert.equal((await echo(proxy, "abcdef")).heard, "abcdef"),
  latency: async (proxy) => assert.ok((await echo(proxy, "abcdef")).tookMs >= 300),
  limit_data: async (proxy) => assert.equal((await echo(proxy, "abcdef")).heard, "abc"),
  reset_peer: (proxy) => assert.rejects(echo(proxy, "abcdef"), { code: "ECONNRESET" }),
  slicer: async (proxy) => assert.equal((await echo(proxy, "abcdef")).heard, "abcdef"),
  slow_close: async (proxy) => assert.equal((await echo(proxy, "abcdef")).heard, "abcdef"),
  // Whoever is late to send anything finds the connection closed.
  timeout: async (proxy) => {
    const cut = (error) => (assert.match(error.code, /^(ECONNRESET|EPIPE)$/), { heard: "" });
    assert.equal((await echo(proxy, "abcdef").catch(cut)).heard, "");
  },
};

const run = async () => {
  assert.match(JSON.parse(await toxiproxy.getVersion()).version, /^2\./);
  const proxy = await toxiproxy.createProxy({ name: "feed", listen, upstream });
  assert.equal(proxy.enabled, true);
  assert.equal(proxy.upstream, upstream);
  assert.notEqual(proxy.listen, listen);
  await fails(toxiproxy.createProxy({ name: "feed", listen, upstream }), 409);
  await fails(toxiproxy.createProxy({ name: "other", listen }), 400);
  await fails(toxiproxy.get("other"), 404);
  assert.equal((await toxiproxy.get("feed")).listen, proxy.listen);
  assert.equal((await echo(proxy, "abcdef")).heard, "abcdef");

  for (const [type, attributes] of Object.entries(TOXICS)) {
    const toxic = await proxy.addToxic({ type, attributes });
    assert.deepEqual(toxic.attributes, attributes);
    assert.equal(toxic.name, `${type}_downstream`);
    assert.equal(toxic.stream, "downstream");
    assert.equal(toxic.toxicity, 1);
    await fails(proxy.addToxic({ type, attributes }), 409);
    await meets[type](proxy);
    const [first] = Object.keys(attributes);
    const changed = { ...attributes, [first]: 7 };
    const updated = await toxic.update({ ...toxic.toJson(), attributes: changed, toxicity: 0.5 });
    assert.deepEqual(updated.attributes, changed);
    assert.equal((await proxy.getToxic(toxic.name)).toxicity, 0.5);
    await toxic.remove();
    await fails(proxy.getToxic(toxic.name), 404);
    await fails(toxic.remove(), 404);
  }
  await fails(proxy.addToxic({ type: "nobody", attributes: {} }), 400);
  await fails(proxy.addToxic({ type: "latency", stream: "sideways", attributes: {} }), 400);
  await fails(proxy.addToxic({ type: "latency", attributes: { latency: "long" } }), 400);

  const down = await proxy.update({ ...proxy.toJson(), enabled: false });
  assert.equal(down.enabled, false);
  await assert.rejects(echo(proxy, "abcdef"), { code: "ECONNREFUSED" });
  await proxy.addToxic({ type: "timeout", stream: "upstream", attributes: { timeout: 0 } });
  await toxiproxy.reset();
  assert.equal((await toxiproxy.get("feed")).enabled, true);
  await fails(proxy.getToxic("timeout_upstream"), 404);
  assert.equal((await echo(proxy, "abcdef")).heard, "abcdef");

  const both = await toxiproxy.populate([
    { name: "feed", listen: proxy.listen, upstream },
    { name: "ranking", listen, upstream, enabled: false },
  ]);
  assert.deepEqual(Object.keys(both), ["feed", "ranking"]);
  assert.equal(both.feed.listen, proxy.listen);
  assert.equal(both.ranking.enabled, false);
  await fails(toxiproxy.populate([{ name: "lost", listen }]), 400);
  assert.deepEqual(Object.keys(await toxiproxy.getAll()).sort(), ["feed", "ranking"]);
  for (const each of Object.values(both)) await each.remove();
  await fails(proxy.remove(), 404);
  assert.deepEqual(await toxiproxy.getAll(), {});
  // More at a time than there are threads to answer.
  const names = Array.from({ length: 40 }, (_, at) => `crowd-${at}`);
  await Promise.all(names.map((name) => toxiproxy.createProxy({ name, listen, upstream })));
  assert.equal(Object.keys(await toxiproxy.getAll()).length, names.length);
};

run().then(
  () => console.log("done"),
  (error) => console.log(error.stack),
);
