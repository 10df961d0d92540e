// A scenario in the fragment of an address: "#s=" and its text, deflated, in the alphabet of addresses.

const KEY = "#s=";
const LIMIT = 1 << 20; // bytes of a text, as for the server

async function through(stream, bytes, limit) {
  const writer = stream.writable.getWriter();
  const wrote = writer.write(bytes).then(() => writer.close());
  wrote.catch(() => {}); // the reader sees the same error
  const chunks = [];
  let size = 0;
  const reader = stream.readable.getReader();
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    size += next.value.length;
    if (size > limit) {
      await reader.cancel();
      throw new Error("The scenario in the link is too large: want 1 MiB at most.");
    }
    chunks.push(next.value);
  }
  const all = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

/** The fragment for a text. */
export async function encode(text) {
  const packed = await through(new CompressionStream("deflate-raw"), new TextEncoder().encode(text), Infinity);
  let binary = "";
  for (const byte of packed) binary += String.fromCharCode(byte);
  return KEY + btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** The text of a fragment, or null if it has none. What is broken is an error. */
export async function decode(hash) {
  if (!hash.startsWith(KEY)) return null;
  let packed;
  try {
    packed = Uint8Array.from(atob(hash.slice(KEY.length).replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  } catch {
    throw new Error("The link is broken: its scenario cannot be read.");
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await through(new DecompressionStream("deflate-raw"), packed, LIMIT));
  } catch (error) {
    if (error.message.startsWith("The scenario")) throw error;
    throw new Error("The link is broken: its scenario cannot be read.");
  }
}
