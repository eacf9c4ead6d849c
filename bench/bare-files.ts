/** The client of `bare-file-server.ts`, and the process that this is. */
import fs from 'node:fs'
import net, { type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { freePort, startProcess, stopProcess } from './processes.ts'

const PROGRAM = fileURLToPath(new URL('bare-file-server.ts', import.meta.url))
const PIECE_BYTES = 256 * 1024
const START_MS_MAX = 30_000
const AGAIN_MS = 100

export interface BareFilesOptions {
  /** The file that is sent. */
  file: string
  /** Where small ones go, each of `smallBytes`. */
  small: string
  smallBytes: number
}

export class BareFiles {
  readonly #port: number
  readonly #smallBytes: number
  readonly #idle: Socket[] = []
  readonly stop: () => Promise<void>

  private constructor(port: number, smallBytes: number, stop: () => Promise<void>) {
    this.#port = port
    this.#smallBytes = smallBytes
    this.stop = async () => {
      for (const socket of this.#idle) socket.destroy()
      await stop()
    }
  }

  static async start({ file, small, smallBytes }: BareFilesOptions): Promise<BareFiles> {
    const port = await freePort()
    const args = [PROGRAM, file, small, String(smallBytes), String(port)]
    const child = startProcess(process.execPath, args, ['ignore', 'ignore', 'inherit'])
    const bare = new BareFiles(port, smallBytes, () => stopProcess(child))
    for (const startMs = performance.now(); ; ) {
      try {
        bare.#idle.push(await bare.#connect())
        return bare
      } catch (error) {
        if (performance.now() - startMs > START_MS_MAX) throw error
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS))
      }
    }
  }

  /** The file, into another. Throws where its length is not `sizeBytes`. */
  async get(target: string, sizeBytes: number): Promise<void> {
    const local = fs.openSync(target, 'w')
    const buffer = Buffer.allocUnsafeSlow(PIECE_BYTES)
    let [at, filled] = [0, 0]
    const write = () => {
      fs.writeSync(local, buffer, 0, filled, at)
      at += filled
      filled = 0
    }
    await new Promise<void>((resolve, reject) => {
      const onread = {
        buffer: () => buffer.subarray(filled),
        callback(count: number) {
          filled += count
          if (filled === PIECE_BYTES) write()
          return true
        },
      }
      const socket = net.connect({ port: this.#port, host: '127.0.0.1', noDelay: true, onread })
      socket.once('end', resolve).once('error', reject).resume()
      socket.write(head('F', 0))
    })
    write()
    fs.closeSync(local)
    if (at !== sizeBytes) throw new Error(`${at} bytes came of ${sizeBytes}`)
  }

  async putSmall(bytes: Buffer): Promise<void> {
    await this.#ask(Buffer.concat([head('P', bytes.length), bytes]), 1)
  }

  async getSmall(number: number): Promise<void> {
    await this.#ask(head('G', number), this.#smallBytes)
  }

  /** Resolves when so many bytes have come. */
  async #ask(request: Buffer, replyBytes: number): Promise<void> {
    const socket = this.#idle.pop() ?? (await this.#connect())
    await new Promise<void>((resolve, reject) => {
      let left = replyBytes
      const onData = (bytes: Buffer) => {
        left -= bytes.length
        if (left > 0) return
        socket.off('data', onData).off('error', reject)
        resolve()
      }
      socket.on('data', onData).on('error', reject)
      socket.write(request)
    })
    this.#idle.push(socket)
  }

  #connect(): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = net.connect({ port: this.#port, host: '127.0.0.1', noDelay: true })
      socket.once('error', reject).once('connect', () => {
        socket.off('error', reject)
        resolve(socket)
      })
    })
  }
}

function head(letter: string, number: number): Buffer {
  const bytes = Buffer.alloc(5, letter)
  bytes.writeUInt32BE(number, 1)
  return bytes
}
