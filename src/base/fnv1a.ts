/** FNV-1a of 32 bits (the function's authors: Fowler, Noll, Vo), for places in tables: not against those who choose the bytes. */
const PRIME = 0x01000193
const OFFSET_BASIS = 0x811c9dc5 | 0

/** A signed number of 32 bits. `start`: of what comes before the bytes. */
export function fnv1a(bytes: Uint8Array, start = OFFSET_BASIS): number {
  let hash = start
  for (let at = 0; at < bytes.length; at++) hash = Math.imul(hash ^ bytes[at]!, PRIME)
  return hash
}
