// Keeps 64 one-row calls in flight for some seconds, over one stream or as unary calls:
//
//     node dist/load.js TARGET shared|unary SECONDS
//
// It prints how many calls were answered, how many failed, and how long 50 and 99 % of them took at most.

import { promisify } from "node:util";

import { connect, latentShape, tensor } from "./client.js";
import type { DecodeRequest } from "./generated/vae/v1/DecodeRequest.js";
import { SharedStream } from "./sharedStream.js";

const [target = "127.0.0.1:50051", kind = "shared", seconds = "3"] = process.argv.slice(2);
const client = connect(target);
const shape = await latentShape(client);
const latent = tensor([1, ...shape], new Float32Array(shape.reduce((product, length) => product * length, 1)));
const stream = new SharedStream(client);
const unary = promisify<DecodeRequest, object, unknown>(client.Decode.bind(client));
const decode = kind === "shared"
  ? () => stream.call("decode", { latent }, { timeoutMs: 10_000 })
  : () => unary({ latent }, { deadline: Date.now() + 10_000 });

const end = performance.now() + Number(seconds) * 1000;
const took: number[] = [];
const errors: unknown[] = [];
await Promise.all(Array.from({ length: 64 }, caller));
took.sort((a, b) => a - b);
if (errors.length) console.error("the first failure:", errors[0]);
console.log(JSON.stringify({ calls: took.length, failed: errors.length, p50Ms: percentile(50), p99Ms: percentile(99) }));
stream.close();
client.close();

async function caller(): Promise<void> {
  for (let begun = performance.now(); begun < end; begun = performance.now()) {
    try {
      await decode();
      took.push(performance.now() - begun);
    } catch (error) {
      errors.push(error);
    }
  }
}

function percentile(percent: number): number | undefined {
  return took[Math.floor((took.length * percent) / 100)];
}
