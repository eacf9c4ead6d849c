/** Requests that no client library sends: bytes as they stand, cut where the test says. */
import { connect } from 'node:net'
import { type RequestToSign, SignerV4, type SigningKey } from '../../src/iam/sign.ts'
import { elements, ROOT, type S3Kit } from '../s3/s3-kit.ts'

const REPLY_MS_MAX = 20_000

/** What comes back until the server closes. `half`: the client ends its side only; `reset`: it is gone at once. */
export function rawExchange(
  port: number,
  bytes: Buffer | string,
  end: 'half' | 'reset' | 'wait' = 'half',
): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    socket.setTimeout(REPLY_MS_MAX, () => socket.destroy(new Error('no answer in time')))
    socket.write(bytes, 'latin1', () => {
      if (end === 'half') socket.end()
      if (end === 'reset') socket.resetAndDestroy()
    })
    socket.on('data', (piece) => {
      text += piece.toString('latin1')
    })
    socket.on('end', () => socket.end())
    socket.on('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ECONNRESET' || error.code === 'EPIPE' ? resolve(text) : reject(error),
    )
    socket.on('close', () => resolve(text))
  })
}

/** The head of a signed request with a Content-Length of its own. */
export function signedHead(
  port: number,
  ask: Omit<RequestToSign, 'host'> & { lengthBytes: number; key?: SigningKey },
  extra: readonly string[] = [],
): string {
  const { lengthBytes, key = ROOT, ...request } = ask
  const signer = new SignerV4({ ...key, region: 'us-east-1' })
  const { target, headers } = signer.sign({ ...request, host: `127.0.0.1:${port}` }, Date.now())
  const lines = [...headers.map(([name, value]) => `${name}: ${value}`), ...extra]
  return `${request.method} ${target} HTTP/1.1\r\n${lines.join('\r\n')}\r\nContent-Length: ${lengthBytes}\r\n\r\n`
}

export function statusOf(reply: string): number {
  return Number(reply.slice(9, 12))
}

/** All keys of a bucket, and what is being uploaded to it. */
export async function contentOf(kit: S3Kit, bucket: string): Promise<{ keys: string[]; uploads: string[] }> {
  const listed = await kit.client.get(`/${bucket}`, { versions: '' })
  const begun = await kit.client.get(`/${bucket}`, { uploads: '' })
  return { keys: elements(listed.text, 'Key'), uploads: elements(begun.text, 'UploadId') }
}
