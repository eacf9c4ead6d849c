/** XXH64 and XXH3 as running computations: `xxhash-kernel/kernel.ts` in WebAssembly, an instance with 64 KiB for each. */
import { XXHASH_BASE64 } from './xxhash-module.ts'

/** What is used of the runtime's WebAssembly, which its types leave out. */
declare const WebAssembly: {
  Module: new (bytes: Buffer) => object
  Instance: new (module: object) => { exports: object }
}

/** What the kernel exports; numbers are addresses and sizes in its memory. */
interface KernelExports {
  memory: { buffer: ArrayBuffer }
  SECRET: { value: number }
  PIECE_BYTES: { value: number }
  start(asXxh3: boolean): void
  room(): number
  more(lengthBytes: number): void
  end(): bigint
  end128(): bigint
  upper(): bigint
}

/** The bytes that XXH3 mixes in where nobody gives others. */
const SECRET = Buffer.from(
  [
    'b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221',
    'b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8a8',
    'fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb17',
    '0ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e',
  ].join(''),
  'hex',
)

export type XxHashName = 'xxhash64' | 'xxhash3' | 'xxhash128'

/** Compiled by the first use: nothing is done where nobody asks for these checksums. */
const made: { module?: object } = {}

/** One running hash; its digest is as the number is written, the highest byte first. */
export class XxHash {
  readonly #name: XxHashName
  readonly #exports: KernelExports
  readonly #memory: Buffer
  readonly #pieceBytes: number

  constructor(name: XxHashName) {
    made.module ??= new WebAssembly.Module(Buffer.from(XXHASH_BASE64, 'base64'))
    this.#name = name
    this.#exports = new WebAssembly.Instance(made.module).exports as KernelExports
    this.#memory = Buffer.from(this.#exports.memory.buffer)
    this.#pieceBytes = this.#exports.PIECE_BYTES.value
    SECRET.copy(this.#memory, this.#exports.SECRET.value)
    this.#exports.start(name !== 'xxhash64')
  }

  update(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; at += this.#pieceBytes) {
      const copied = bytes.copy(this.#memory, this.#exports.room(), at, at + this.#pieceBytes)
      this.#exports.more(copied)
    }
  }

  digest(): Buffer {
    const isWide = this.#name === 'xxhash128'
    const digest = Buffer.allocUnsafe(isWide ? 16 : 8)
    const low = isWide ? this.#exports.end128() : this.#exports.end()
    if (isWide) digest.writeBigUInt64BE(BigInt.asUintN(64, this.#exports.upper()))
    digest.writeBigUInt64BE(BigInt.asUintN(64, low), digest.length - 8)
    return digest
  }
}
