/**
 * MD5 (RFC 1321) of part of a file, for `Content-MD5`: the only digest that our API and every bucket
 * check on arrival (ADR 11). Browsers do not offer it. It detects damage on the way, not forgery.
 */

/** The bytes that are read at a time. A part is never in memory as a whole. */
const PIECE_BYTES = 1024 * 1024;
const BLOCK_BYTES = 64;
const LENGTH_BYTES = 8;

const SINES = Int32Array.from({ length: 64 }, (_, step) => Math.floor(Math.abs(Math.sin(step + 1)) * 2 ** 32));
/** The bits by which a step rotates, four for each of the four rounds. */
const ROTATIONS = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21];

/**
 * @param {Blob} content
 * @param {AbortSignal} signal
 * @returns {Promise<string>} Base64.
 */
export async function md5(content, signal) {
  const state = Int32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476);
  for (let from = 0; from <= content.size; from += PIECE_BYTES) {
    signal.throwIfAborted();
    const piece = await content.slice(from, from + PIECE_BYTES).arrayBuffer();
    const isLast = from + PIECE_BYTES > content.size;
    const words = new Int32Array(isLast ? padLast(piece, content.size) : piece);
    for (let block = 0; block < words.length; block += 16) processBlock(state, words, block);
  }
  return btoa(String.fromCharCode(...new Uint8Array(state.buffer)));
}

/**
 * Pad the last piece to whole blocks: a one bit, zeros, and the total length in bits.
 *
 * @param {ArrayBuffer} piece
 * @param {number} size
 */
function padLast(piece, size) {
  const blocks = Math.ceil((piece.byteLength + 1 + LENGTH_BYTES) / BLOCK_BYTES);
  const bytes = new Uint8Array(blocks * BLOCK_BYTES);
  bytes.set(new Uint8Array(piece));
  bytes[piece.byteLength] = 0x80;
  const view = new DataView(bytes.buffer, bytes.length - LENGTH_BYTES);
  view.setBigUint64(0, BigInt(size) * 8n, true);
  return bytes.buffer;
}

/**
 * Process one block. It is read as little-endian words, which MD5 requires: so are the processors
 * that browsers run on.
 *
 * @param {Int32Array} state
 * @param {Int32Array} words
 * @param {number} block The index of its first word.
 */
function processBlock(state, words, block) {
  let a = at(state, 0);
  let b = at(state, 1);
  let c = at(state, 2);
  let d = at(state, 3);
  for (let step = 0; step < 64; step += 1) {
    let chosen;
    let word;
    if (step < 16) {
      chosen = d ^ (b & (c ^ d));
      word = step;
    } else if (step < 32) {
      chosen = c ^ (d & (b ^ c));
      word = (5 * step + 1) & 15;
    } else if (step < 48) {
      chosen = b ^ c ^ d;
      word = (3 * step + 5) & 15;
    } else {
      chosen = c ^ (b | ~d);
      word = (7 * step) & 15;
    }
    const sum = (a + chosen + at(SINES, step) + at(words, block + word)) | 0;
    const bits = at(ROTATIONS, ((step >> 4) << 2) | (step & 3));
    a = d;
    d = c;
    c = b;
    b = (b + ((sum << bits) | (sum >>> (32 - bits)))) | 0;
  }
  state.set([at(state, 0) + a, at(state, 1) + b, at(state, 2) + c, at(state, 3) + d]);
}

/**
 * @param {ArrayLike<number>} numbers
 * @param {number} index
 */
function at(numbers, index) {
  return /** @type {number} */ (numbers[index]);
}
