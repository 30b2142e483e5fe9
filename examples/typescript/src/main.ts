// Decodes 64 latents at once over one stream, beside one call that fails, one that is late and one that is cancelled.

import { status } from "@grpc/grpc-js";

import { connect, latentShape, tensor } from "./client.js";
import { CallError, SharedStream } from "./sharedStream.js";

const client = connect(process.argv[2] ?? "127.0.0.1:50051");
const shape = await latentShape(client);
const size = shape.reduce((product, length) => product * length, 1);
const stream = new SharedStream(client);
const unwanted = new AbortController();

const decoding = Array.from({ length: 64 }, (_, row) => {
  const latent = tensor([1, ...shape], new Float32Array(size).fill(row / 64));
  return stream.call("decode", { latent }, { timeoutMs: 5000 });
});
const failing = {
  wrong: stream.call("decode", { latent: tensor([1, size + 1], new Float32Array(size + 1)) }),
  late: stream.call("sample", { count: 1 }, { timeoutMs: 0.001 }),
  cancelled: stream.call("sample", { count: 1 }, { signal: unwanted.signal }),
};
setImmediate(() => unwanted.abort());

const failed = await Promise.allSettled(Object.values(failing));
failed.forEach((result, index) => console.log(`${Object.keys(failing)[index]}: ${describe(result)}`));
const decoded = await Promise.all(decoding);
console.log(`decoded: ${decoded.length} rows of shape [${decoded[0]?.data?.shape?.slice(1)}]`);
console.log(`largest batch: ${Math.max(...decoded.map((reply) => Number(reply.timing?.batchRows)))} rows`);

stream.close();
client.close();

function describe(result: PromiseSettledResult<unknown>): string {
  if (result.status === "fulfilled") return "answered";
  return result.reason instanceof CallError ? status[result.reason.code] : result.reason.name;
}
