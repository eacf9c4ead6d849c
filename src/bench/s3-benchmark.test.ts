/** The S3 benchmark against a small server in this process: what it sends, counts and verifies. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { systemClock } from '../base/clock.ts'
import { StoreError } from '../base/errors.ts'
import { seededRandom } from '../base/random.ts'
import type { PhaseFigures } from './report.ts'
import { runS3Benchmark, type S3BenchmarkOptions } from './s3-benchmark.ts'

class Store {
  readonly objects = new Map<string, Buffer>()
  readonly payloads = new Set<string>()
  unsigned = 0
  spoil: (content: Buffer) => Buffer = (content) => content
  putStatus = () => 200
  readonly server = http.createServer((request, reply) => void this.#serve(request, reply))

  async #serve(request: http.IncomingMessage, reply: http.ServerResponse): Promise<void> {
    const pieces: Buffer[] = []
    for await (const piece of request) pieces.push(piece as Buffer)
    const body = Buffer.concat(pieces)
    const send = (status: number, content: Buffer | string = '') =>
      reply.writeHead(status, { 'content-length': Buffer.byteLength(content) }).end(content)
    if (!/^AWS4-HMAC-SHA256 Credential=me\/\d{8}\/here\/s3\//.test(request.headers.authorization ?? ''))
      this.unsigned++
    const payload = request.headers['x-amz-content-sha256'] as string
    if (payload === createHash('sha256').update(body).digest('hex')) this.payloads.add('signed')
    else this.payloads.add(payload)
    const path = request.url!
    if (request.method === 'PUT') {
      const status = path === '/bucket' ? 409 : this.putStatus()
      if (status === 200) this.objects.set(path, body)
      return void send(status)
    }
    const content = this.objects.get(path)
    if (content === undefined) send(404)
    else send(200, this.spoil(content))
  }
}

async function benchmark(
  options: Partial<S3BenchmarkOptions>,
  store = new Store(),
): Promise<{ phases: PhaseFigures[]; store: Store }> {
  await new Promise<void>((resolve) => void store.server.listen(0, '127.0.0.1', resolve))
  try {
    const phases = await runS3Benchmark(
      {
        address: `127.0.0.1:${(store.server.address() as AddressInfo).port}`,
        key: { accessKey: 'me', secretKey: 'secret' },
        ...{ region: 'here', bucket: 'bucket', requests: 60, sizeBytes: 1_000, concurrency: 4 },
        ...{ write: true, read: true, verify: true, timeoutMs: 5_000 },
        ...options,
      },
      {
        clock: systemClock,
        random: seededRandom(1),
        progress: { isTerminal: false, write: () => undefined },
        onPhase: () => undefined,
      },
    )
    return { phases, store }
  } finally {
    store.server.closeAllConnections()
    store.server.close()
  }
}

test('objects are put once each and read at random, all signed', async () => {
  const { phases, store } = await benchmark({})
  assert.equal(store.unsigned, 0)
  assert.deepEqual([...store.payloads], ['signed'])
  assert.equal(store.objects.size, 60)
  assert.ok(store.objects.has('/bucket/cairn-benchmark/0000003b'))
  assert.deepEqual(
    phases.map(({ completed, failed, contentBytes, times }) => [
      completed,
      failed,
      contentBytes,
      times.count,
    ]),
    [
      [60, 0, 60_000, 60],
      [60, 0, 60_000, 60],
    ],
  )
})

test('long bodies go without their digest', async () => {
  const { store } = await benchmark({ requests: 2, sizeBytes: 100_000, read: false })
  assert.ok(store.payloads.has('UNSIGNED-PAYLOAD'))
})

test('wrong bytes and refusals are counted', async () => {
  const store = new Store()
  let puts = 0
  store.putStatus = () => (puts++ % 10 === 9 ? 503 : 200)
  store.spoil = (content) => Buffer.from(content).fill(1, 500, 501)
  const { phases } = await benchmark({}, store)
  assert.deepEqual([phases[0]!.completed, phases[0]!.failed], [54, 6])
  assert.deepEqual(phases[0]!.failures, { 'write: status 503': 6 })
  assert.equal(phases[1]!.failed, 60)
  assert.ok('read: 1000 bytes that are not those of the object' in phases[1]!.failures)
})

test('options that make no sense are refused', async () => {
  for (const wrong of [{ requests: 0 }, { sizeBytes: 1.5 }, { concurrency: 0 }])
    await assert.rejects(
      benchmark(wrong),
      (error) => error instanceof StoreError && error.code === 'bad_request',
    )
})
