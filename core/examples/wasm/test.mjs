// A host for the module: answers real queries and exits with 1 if one answer is not what it should be.
//
//   node test.mjs poddns_wasm.wasm
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

const text = (start, len) => new TextDecoder().decode(new Uint8Array(exports.memory.buffer, start, len));
const octets = (start, len) => [...new Uint8Array(exports.memory.buffer, start, len)];

// One namespace with one dual-stack pod, and one without pods.
const pods = {
  default: ["10.42.2.46", "253.0.0.0.0.0.0.0.0.0.0.0.0.0.0.46"],
  empty: [],
};
const asked = [];
const imports = {
  pods: {
    // Of one namespace nothing is known: a negative number.
    namespace_exists: (name, len) => (text(name, len) === "unknown" ? -1 : text(name, len) in pods),
    contains: (name, len, address, addressLen) => {
      asked.push(text(name, len));
      if (text(name, len) === "unknown") return -1;
      return pods[text(name, len)]?.includes(octets(address, addressLen).join(".")) ?? false;
    },
  },
};
const { instance } = await WebAssembly.instantiate(await readFile(process.argv[2]), imports);
const exports = instance.exports;

// What is above the module's own data is the host's: a query, then the response to it.
const QUERY = exports.__heap_base.value;
const REPLY = QUERY + 65536;
const ROOM = 1232;
exports.memory.grow(2);

function ask(query) {
  new Uint8Array(exports.memory.buffer, QUERY, query.length).set(query);
  const len = exports.respond(QUERY, query.length, REPLY, ROOM);
  return Buffer.from(new Uint8Array(exports.memory.buffer, REPLY, len));
}

// As dig sends them: 10-42-2-46.default.pod.cluster.local A, with EDNS and a cookie.
const dig = Buffer.from(
  "3039012000010000000000010a31302d34322d322d34360764656661756c7403706f6407636c7573746572056c6f63616c0000010001" +
    "00002904d000000000000c000a000893a2b1c0d4e5f607",
  "hex",
);

function query(name, rtype) {
  const labels = name.split(".").map((label) => Buffer.from([label.length, ...Buffer.from(label)]));
  const header = Buffer.from([0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  return Buffer.concat([header, ...labels, Buffer.from([0, 0, rtype, 0, 1])]);
}

const answer = ask(dig);
assert.deepEqual(
  answer.toString("hex"),
  "3039850000010001000000010a31302d34322d322d34360764656661756c7403706f6407636c7573746572056c6f63616c0000010001" +
    "c00c000100010000000500040a2a022e" +
    "00002904d0000000000000",
);
assert.deepEqual(asked, ["default"], "the pods were asked, once");

const rcode = (reply) => reply[3] & 15;
const answers = (reply) => reply.readUInt16BE(6);
for (const [name, rtype, expectedRcode, expectedAnswers] of [
  ["fd00--2e.DEFAULT.pod.cluster.local", 28, 0, 1],
  ["10-42-2-46.default.pod.cluster.local", 28, 0, 0],
  ["10-42-2-47.default.pod.cluster.local", 1, 3, 0],
  ["10-42-2-46.empty.pod.cluster.local", 1, 3, 0],
  ["empty.pod.cluster.local", 1, 0, 0],
  ["nowhere.pod.cluster.local", 1, 3, 0],
  ["unknown.pod.cluster.local", 1, 2, 0],
  ["10-42-2-46.unknown.pod.cluster.local", 1, 2, 0],
  ["www.example.com", 1, 5, 0],
]) {
  const reply = ask(query(name, rtype));
  assert.deepEqual([rcode(reply), answers(reply)], [expectedRcode, expectedAnswers], name);
}
assert.equal(ask(answer).length, 0, "a response is not answered");
assert.equal(rcode(ask(Buffer.from("ffff0100ffffffffffffffffc00c", "hex"))), 1, "garbage is a format error");
console.log("ok: twelve queries answered from WebAssembly");
