// SharedStream: the concurrent calls of one process over one CallStream, where a call costs the server far less.
//
// Each message sent holds all calls that have gathered since the last one. Each call keeps its own deadline,
// cancellation, error and retries.

import { setTimeout as sleep } from "node:timers/promises";

import { type ClientDuplexStream, Metadata, type StatusObject, status } from "@grpc/grpc-js";

import type { Any__Output } from "./generated/google/protobuf/Any.js";
import type { CallStreamRequest } from "./generated/vae/v1/CallStreamRequest.js";
import type { CallStreamResponse__Output } from "./generated/vae/v1/CallStreamResponse.js";
import type { DecodeRequest } from "./generated/vae/v1/DecodeRequest.js";
import type { DecodeResponse__Output } from "./generated/vae/v1/DecodeResponse.js";
import type { EncodeRequest } from "./generated/vae/v1/EncodeRequest.js";
import type { EncodeResponse__Output } from "./generated/vae/v1/EncodeResponse.js";
import type { ReconstructRequest } from "./generated/vae/v1/ReconstructRequest.js";
import type { ReconstructResponse__Output } from "./generated/vae/v1/ReconstructResponse.js";
import type { Reply__Output } from "./generated/vae/v1/Reply.js";
import type { SampleRequest } from "./generated/vae/v1/SampleRequest.js";
import type { SampleResponse__Output } from "./generated/vae/v1/SampleResponse.js";
import type { VaeServiceClient } from "./generated/vae/v1/VaeService.js";

const ATTEMPTS = 5; // as many as gRPC makes of a unary call
const MESSAGE_BYTES = 2 ** 20; // calls share messages of about this size; a larger call has its own message
const CANCELLED_LIMIT = 2 ** 16; // ids in a message; a server refuses a message with more

interface Requests {
  encode: EncodeRequest;
  decode: DecodeRequest;
  sample: SampleRequest;
  reconstruct: ReconstructRequest;
}

interface Responses {
  encode: EncodeResponse__Output;
  decode: DecodeResponse__Output;
  sample: SampleResponse__Output;
  reconstruct: ReconstructResponse__Output;
}

export type Verb = keyof Requests;

export interface CallOptions {
  /** Time for the answer, retries included. */
  timeoutMs?: number;
  /** Cancels the call, which then rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** Why one call failed. `details` are google.rpc messages: BadRequest, RetryInfo, ErrorInfo. */
export class CallError extends Error {
  constructor(
    readonly code: status,
    message: string,
    readonly details: readonly Any__Output[] = [],
  ) {
    super(`${status[code] ?? code}: ${message}`);
  }
}

/** Calls of every verb, over one stream at a time. A stream that breaks is opened again by the next call. */
export class SharedStream {
  private readonly metadata: Metadata;
  private stream?: OneStream;
  private isClosed = false;

  /** `metadata` is sent when a stream begins; a token belongs there. */
  constructor(private readonly client: VaeServiceClient, metadata = new Metadata()) {
    this.metadata = metadata.clone();
    this.metadata.set("vae-class", "interactive"); // without it, calls of a stream are bulk and give way to unary calls
  }

  /** Makes a call. It is repeated if the stream breaks: a call with a seed, or without noise, has the same answer again. */
  async call<V extends Verb>(verb: V, request: Requests[V], options: CallOptions = {}): Promise<Responses[V]> {
    const { timeoutMs = 60_000, signal } = options;
    const deadline = performance.now() + timeoutMs;
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.current().call(verb, request, deadline, signal);
      } catch (error) {
        const pause = Math.min(200 * 2 ** (attempt - 1), 2000) * (0.8 + 0.4 * Math.random());
        const mayRepeat = !this.isClosed && attempt < ATTEMPTS && performance.now() + pause < deadline;
        if (!mayRepeat || !isPassing(error)) throw error;
        await sleep(pause, undefined, { signal }).catch(() => signal?.throwIfAborted());
      }
    }
  }

  /** Ends the stream. Calls in progress fail with CANCELLED. */
  close(): void {
    this.isClosed = true;
    this.stream?.close();
  }

  private current(): OneStream {
    if (this.isClosed) throw closed();
    if (!this.stream || this.stream.isOver) this.stream = new OneStream(this.client.CallStream(this.metadata));
    return this.stream;
  }
}

interface Pending {
  verb: Verb;
  request: Requests[Verb];
  deadline: number;
  resolve(response: any): void;
  reject(error: unknown): void;
}

/** One stream, until it breaks. */
class OneStream {
  isOver = false;
  private lastId = 0;
  private isWriting = false;
  private readonly waiting = new Map<string, Pending>(); // for their answers, by id
  private readonly unsent = new Map<string, Pending>();
  private readonly cancelled: string[] = [];

  constructor(private readonly stream: ClientDuplexStream<CallStreamRequest, CallStreamResponse__Output>) {
    stream.on("data", (message: CallStreamResponse__Output) => message.replies?.forEach((reply) => this.settle(reply)));
    stream.on("status", (end: StatusObject) => this.fail(endOfStream(end)));
    stream.on("error", () => {}); // "status" says the same, also of a stream that ends without an error
  }

  async call<V extends Verb>(verb: V, request: Requests[V], deadline: number, signal?: AbortSignal): Promise<Responses[V]> {
    signal?.throwIfAborted();
    const id = String(++this.lastId);
    let timer: NodeJS.Timeout | undefined;
    let abort = () => {};
    try {
      return await new Promise<Responses[V]>((resolve, reject) => {
        abort = () => reject(signal?.reason);
        signal?.addEventListener("abort", abort);
        const late = () => reject(new CallError(status.DEADLINE_EXCEEDED, "no answer in time"));
        timer = setTimeout(late, deadline - performance.now());
        const call = { verb, request, deadline, resolve, reject };
        this.waiting.set(id, call);
        this.unsent.set(id, call);
        this.wake();
      });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
      if (this.waiting.delete(id) && !this.unsent.delete(id)) {
        this.cancelled.push(id); // the server need not go on with it
        this.wake();
      }
    }
  }

  close(): void {
    if (this.waiting.size) this.stream.cancel();
    else this.stream.end();
    this.fail(closed());
  }

  /** Writes soon: calls that begin in the same turn of the event loop share a message. */
  private wake(): void {
    if (this.isWriting || this.isOver) return;
    this.isWriting = true;
    setImmediate(() => this.write());
  }

  /** Writes one message at a time. While the server does not read, gRPC does not call back, and calls gather. */
  private write(): void {
    const message = this.isOver ? undefined : this.takeMessage();
    this.isWriting = message !== undefined;
    if (message) this.stream.write(message, () => this.write());
  }

  private takeMessage(): CallStreamRequest | undefined {
    const calls = [];
    let bytes = 0;
    for (const [id, { verb, request, deadline }] of this.unsent) {
      bytes += bytesOf(request);
      if (calls.length && bytes > MESSAGE_BYTES) break;
      this.unsent.delete(id);
      const timeoutMicroseconds = Math.max(1, Math.round((deadline - performance.now()) * 1000));
      calls.push({ id, [verb]: request, timeoutMicroseconds });
    }
    const cancelledIds = this.cancelled.splice(0, CANCELLED_LIMIT);
    return calls.length || cancelledIds.length ? { calls, cancelledIds, anyOrder: true } : undefined;
  }

  private settle(reply: Reply__Output): void {
    const { code = status.UNKNOWN, message = "", details } = reply.error ?? {};
    const error = new CallError(code, message || "the reply has no answer that this client knows", details);
    if (!reply.id) { // the server could not read a message, so nobody knows which calls it held
      this.stream.cancel();
      return this.fail(error);
    }
    const call = this.waiting.get(reply.id);
    this.waiting.delete(reply.id);
    if (reply.result && reply.result !== "error") call?.resolve(reply[reply.result]);
    else call?.reject(error);
  }

  private fail(error: unknown): void {
    this.isOver = true;
    const calls = [...this.waiting.values()];
    this.waiting.clear();
    calls.forEach((call) => call.reject(error));
  }
}

/** Whether a call may be repeated: the server stops or is restarted, or the connection broke. */
function isPassing(error: unknown): boolean {
  return error instanceof CallError && (error.code === status.UNAVAILABLE || error.code === status.CANCELLED);
}

/** The failure of each call that a stream left without an answer. */
function endOfStream(end: StatusObject): CallError {
  if (end.code === status.OK) return new CallError(status.UNAVAILABLE, "the stream ended too early");
  const isCut = end.code === status.INTERNAL && !Object.keys(end.metadata.getMap()).length; // by a proxy
  return new CallError(isCut ? status.UNAVAILABLE : end.code, end.details);
}

function closed(): CallError {
  return new CallError(status.CANCELLED, "the shared stream is closed");
}

/** About how many bytes a request takes: those of its tensors and images. */
function bytesOf(value: unknown): number {
  if (value instanceof Uint8Array) return value.length;
  if (typeof value !== "object" || value === null) return 8;
  return Object.values(value).reduce((sum: number, part) => sum + bytesOf(part), 8);
}
