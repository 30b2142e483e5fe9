// A client of the service, made from the proto. The options are those with which `npm run generate` makes the types.

import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { credentials, loadPackageDefinition } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

import type { ProtoGrpcType } from "./generated/vae.js";
import type { GetModelResponse__Output } from "./generated/vae/v1/GetModelResponse.js";
import type { VaeServiceClient } from "./generated/vae/v1/VaeService.js";

const PROTOS = fileURLToPath(new URL("../../../proto", import.meta.url));
const OPTIONS = { includeDirs: [PROTOS], longs: String, enums: String, oneofs: true };

/** Opens a connection without TLS. Replies may be larger than the 4 MB that gRPC takes without being told. */
export function connect(target: string): VaeServiceClient {
  const { vae } = loadPackageDefinition(loadSync("vae/v1/vae.proto", OPTIONS)) as unknown as ProtoGrpcType;
  return new vae.v1.VaeService(target, credentials.createInsecure(), { "grpc.max_receive_message_length": -1 });
}

/** Returns the shape of one row's latent. */
export async function latentShape(client: VaeServiceClient): Promise<number[]> {
  const getModel = promisify<object, object, GetModelResponse__Output | undefined>(client.GetModel.bind(client));
  const reply = await getModel({}, { deadline: Date.now() + 30_000 });
  return reply?.model?.latentShape?.map(Number) ?? [];
}

/** Returns the message of a tensor: its elements in C order, little-endian. */
export function tensor(shape: number[], values: Float32Array) {
  return { dtype: "DATA_TYPE_FLOAT32", shape, data: Buffer.from(values.buffer, values.byteOffset, values.byteLength) } as const;
}
