/** Every negative sent to every route of a running server, over real connections. */
import assert from 'node:assert/strict'
import net from 'node:net'
import { ROUTES, type Route } from '../../src/protocols/s3/routes.ts'
import { ALICE, BOB, type S3Kit, startS3 } from '../s3/s3-kit.ts'
import { type Negative, type NegativeTarget, negativesOf } from './negatives.ts'

/** Their bodies are what they are about, so what is wrong in them must be found. */
const WITH_BODIES: ReadonlySet<string> = new Set(['PutObject', 'PutBucketPolicy'])
const REPLY_MS_MAX = 20_000

export interface RouteReport {
  routes: number
  requests: number
  /** What was answered otherwise than it must be. */
  wrong: string[]
}

/** Sends to each route all of its negatives, in the name of the owner of all that is there, and looks whether anything has changed. */
export async function askRoutes(): Promise<RouteReport> {
  const kit = await startS3()
  const report: RouteReport = { routes: 0, requests: 0, wrong: [] }
  const connection = new Connection(kit.port)
  try {
    const before = await prepare(kit)
    for (const route of ROUTES) {
      if (route.access === 'preflight') continue
      report.routes++
      for (const negative of negativesFor(route, kit.port)) {
        report.requests++
        const reply = await connection.ask(negative)
        const problem = problemOf(negative, route, reply)
        if (problem !== undefined) report.wrong.push(`${route.action}: ${negative.name}: ${problem}`)
      }
    }
    assert.equal(await stateOf(kit), before, 'nothing was changed')
    return report
  } finally {
    connection.close()
    await kit.close()
  }
}

async function prepare(kit: S3Kit): Promise<string> {
  const alice = kit.as(ALICE)
  assert.equal((await alice.put('/bucket')).status, 200)
  assert.equal((await alice.put('/bucket/key', 'what is there')).status, 200)
  return stateOf(kit)
}

/** All that there is, as text. */
async function stateOf(kit: S3Kit): Promise<string> {
  const alice = kit.as(ALICE)
  const asked: [path: string, query: Record<string, string>][] = [
    ['/', {}],
    ['/bucket', { versions: '' }],
    ['/bucket', { uploads: '' }],
    ['/bucket', { acl: '' }],
    ['/bucket', { policy: '' }],
    ['/bucket', { tagging: '' }],
    ['/bucket', { versioning: '' }],
    ['/bucket/key', {}],
    ['/bucket/key', { acl: '' }],
    ['/bucket/key', { tagging: '' }],
  ]
  const replies = await Promise.all(asked.map(([path, query]) => alice.get(path, query)))
  return replies
    .map(({ status, text }) => `${status} ${text.replace(/<(RequestId|HostId)>.*?<\/\1>/g, '')}`)
    .join('\n')
}

function negativesFor(route: Route, port: number): Negative[] {
  const { mark } = route
  const query: [string, string][] = route.sub === '' ? [] : [[route.sub, '']]
  if (mark?.param !== undefined) query.push([mark.param, mark.value ?? 'x'])
  const headers: [string, string][] = []
  if (mark?.header !== undefined) headers.push([mark.header, mark.value ?? '/bucket/key'])
  const target: NegativeTarget = {
    method: route.method,
    host: `127.0.0.1:${port}`,
    path: route.level === 'service' ? '/' : route.level === 'bucket' ? '/bucket' : '/bucket/key',
    query,
    headers,
    ...(WITH_BODIES.has(route.action) && { body: Buffer.from('{"a body": "of some bytes"}') }),
  }
  return negativesOf(target, { key: ALICE, otherKey: BOB, region: 'us-east-1', nowMs: Date.now() })
}

interface Reply {
  status: number
  code: string
}

function problemOf(negative: Negative, route: Route, { status, code }: Reply): string | undefined {
  // Forms have their signature in the body, and lists of keys are asked about one by one: what is said of them is another.
  const isInBody = negative.isAnonymous && (route.access === 'form' || route.access === 'each')
  if (status < 400 || status >= 500) {
    if (!(status === 501 && negative.codes.includes('NotImplemented'))) return `answered ${status} ${code}`
  }
  const isTold = code !== '' && !isInBody
  return isTold && !negative.codes.includes(code) ? `answered ${status} ${code}` : undefined
}

/** One request after another over one connection, which is made again where the server closes it. */
class Connection {
  readonly #port: number
  #socket: net.Socket | undefined

  constructor(port: number) {
    this.#port = port
  }

  async ask({ method, target, headers, body }: Negative): Promise<Reply> {
    const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')
    const length = body === undefined ? '' : `Content-Length: ${body.length}\r\n`
    const head = Buffer.from(`${method} ${target} HTTP/1.1\r\n${lines}${length}\r\n`, 'latin1')
    const bytes = body === undefined ? head : Buffer.concat([head, body])
    return (
      (await this.#exchange(bytes, method)) ??
      (await this.#exchange(bytes, method)) ?? { status: 0, code: 'no reply' }
    )
  }

  close(): void {
    this.#socket?.destroy()
  }

  /** Undefined: the connection was closed before a reply came. */
  #exchange(bytes: Buffer, method: string): Promise<Reply | undefined> {
    const socket = this.#connected()
    return new Promise((resolve, reject) => {
      let text = ''
      const done = (reply: Reply | undefined) => {
        socket.removeAllListeners()
        socket.setTimeout(0)
        socket.on('error', () => {})
        if (reply === undefined || /^connection: close/im.test(text)) {
          socket.destroy()
          this.#socket = undefined
        }
        resolve(reply)
      }
      socket.setTimeout(REPLY_MS_MAX, () => reject(new Error('no reply in time')))
      socket.on('error', () => done(undefined))
      socket.on('close', () => done(undefined))
      socket.on('data', (piece: Buffer) => {
        text += piece.toString('latin1')
        const reply = replyOf(text, method)
        if (reply !== undefined) done(reply)
      })
      socket.write(bytes)
    })
  }

  #connected(): net.Socket {
    this.#socket ??= net.connect(this.#port, '127.0.0.1')
    return this.#socket
  }
}

/** Undefined until it is whole. */
function replyOf(text: string, method: string): Reply | undefined {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const head = text.slice(0, end)
  const body = text.slice(end + 4)
  const status = Number(head.split(' ')[1])
  const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0)
  const hasBody = method !== 'HEAD' && status !== 204 && status !== 304
  if (hasBody && body.length < length) return undefined
  return { status, code: /<Code>(\w+)</.exec(body)?.[1] ?? '' }
}
