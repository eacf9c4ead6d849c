/** IP addresses and ranges of conditions, IPv4 and IPv6. An IPv4 address written as IPv6 is the IPv4 address. */

export interface IpRange {
  family: 4 | 6
  prefixBits: number
  bytes: Uint8Array
}

/** Undefined for what is no address and no range. */
export function parseIpRange(text: string): IpRange | undefined {
  const slash = text.indexOf('/')
  const bytes = parseAddress(slash < 0 ? text : text.slice(0, slash))
  if (bytes === undefined) return undefined
  const bitsMax = bytes.length * 8
  const bits = slash < 0 ? String(bitsMax) : text.slice(slash + 1)
  if (!/^[0-9]{1,3}$/.test(bits) || Number(bits) > bitsMax) return undefined
  return { family: bytes.length === 4 ? 4 : 6, prefixBits: Number(bits), bytes }
}

export function isInRange(range: IpRange, address: string): boolean {
  const bytes = parseAddress(address)
  if (bytes === undefined || bytes.length !== range.bytes.length) return false
  const whole = range.prefixBits >> 3
  for (let i = 0; i < whole; i++) if (bytes[i] !== range.bytes[i]) return false
  const rest = range.prefixBits & 7
  return rest === 0 || (bytes[whole]! ^ range.bytes[whole]!) >> (8 - rest) === 0
}

/** 4 or 16 bytes. */
function parseAddress(text: string): Uint8Array | undefined {
  if (!text.includes(':')) return parseIpv4(text)
  const bytes = parseIpv6(text)
  // A socket that listens on both kinds gives IPv4 addresses as ::ffff:10.0.0.1.
  const isMapped = bytes?.every((byte, at) => at >= 12 || byte === (at < 10 ? 0 : 0xff))
  return isMapped ? bytes!.subarray(12) : bytes
}

function parseIpv4(text: string): Uint8Array | undefined {
  const match = /^([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})$/.exec(text)
  if (match === null) return undefined
  const numbers = match.slice(1).map(Number)
  return numbers.every((each) => each < 256) ? Uint8Array.from(numbers) : undefined
}

function parseIpv6(text: string): Uint8Array | undefined {
  if (text.length > 45) return undefined
  let words = text
  const dotted = /[0-9.]*$/.exec(text)![0]
  if (dotted.includes('.')) {
    const ipv4 = parseIpv4(dotted)
    if (ipv4 === undefined) return undefined
    const high = ((ipv4[0]! << 8) | ipv4[1]!).toString(16)
    const low = ((ipv4[2]! << 8) | ipv4[3]!).toString(16)
    words = `${text.slice(0, -dotted.length)}${high}:${low}`
  }
  const halves = words.split('::')
  if (halves.length > 2) return undefined
  const [left, right] = halves.map((half) => (half === '' ? [] : half.split(':')))
  const given = left!.length + (right?.length ?? 0)
  if (right === undefined ? given !== 8 : given > 7) return undefined
  const all = right === undefined ? left! : [...left!, ...Array<string>(8 - given).fill('0'), ...right]
  if (!all.every((word) => /^[0-9A-Fa-f]{1,4}$/.test(word))) return undefined
  const bytes = new Uint8Array(16)
  for (const [at, word] of all.entries()) {
    const value = Number.parseInt(word, 16)
    bytes[at * 2] = value >> 8
    bytes[at * 2 + 1] = value & 0xff
  }
  return bytes
}
