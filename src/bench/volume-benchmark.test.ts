/** The benchmark against a small store in this process: what it counts, verifies and gives back. */
import assert from 'node:assert/strict'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { systemClock } from '../base/clock.ts'
import { StoreError } from '../base/errors.ts'
import { seededRandom } from '../base/random.ts'
import { runLoad } from './load.ts'
import {
  runVolumeBenchmark,
  type VolumeBenchmarkOptions,
  type VolumeBenchmarkResult,
} from './volume-benchmark.ts'

class Store {
  readonly files = new Map<string, Buffer>()
  assigned = 0
  deletes = 0
  /** Changes what a read of this file gives, and what a write answers. */
  spoil: (content: Buffer, fid: string) => Buffer = (content) => content
  writeStatus = () => 201
  readonly server = http.createServer((request, reply) => void this.#serve(request, reply))

  async #serve(request: http.IncomingMessage, reply: http.ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://x')
    const pieces: Buffer[] = []
    for await (const piece of request) pieces.push(piece as Buffer)
    const send = (status: number, body: string | Buffer) =>
      reply.writeHead(status, { 'content-length': Buffer.byteLength(body) }).end(body)
    const address = `127.0.0.1:${(this.server.address() as AddressInfo).port}`
    if (url.pathname === '/dir/assign') {
      const count = Number(url.searchParams.get('count'))
      const fid = `5,${(this.assigned + 1).toString(16).padStart(8, '0')}abcdef01`
      this.assigned += count
      return void send(200, JSON.stringify({ fid, url: address, publicUrl: address, count }))
    }
    if (url.pathname === '/dir/lookup') {
      return void send(200, JSON.stringify({ locations: [{ url: address, publicUrl: address }] }))
    }
    const fid = url.pathname.slice(1)
    if (request.method === 'POST') {
      const form = Buffer.concat(pieces)
      const start = form.indexOf('\r\n\r\n') + 4
      const status = this.writeStatus()
      if (status === 201)
        this.files.set(fid, form.subarray(start, form.lastIndexOf('\r\n--', form.length - 6)))
      return void send(status, '{}')
    }
    const content = this.files.get(fid)
    if (content === undefined) return void send(404, '')
    if (request.method === 'DELETE') {
      this.deletes++
      this.files.delete(fid)
      return void send(202, '{"size":1}')
    }
    send(200, this.spoil(content, fid))
  }
}

interface Run extends VolumeBenchmarkResult {
  store: Store
  output: string
}

async function benchmark(
  options: Partial<VolumeBenchmarkOptions>,
  store = new Store(),
  threads = 1,
): Promise<Run> {
  await new Promise<void>((resolve) => void store.server.listen(0, '127.0.0.1', resolve))
  let output = ''
  const progress = {
    isTerminal: false,
    write(text: string) {
      output += text
    },
  }
  const run = { run: (spec: Parameters<typeof runLoad>[0]) => runLoad(spec, systemClock) }
  try {
    const result = await runVolumeBenchmark(
      {
        masters: [`127.0.0.1:${(store.server.address() as AddressInfo).port}`],
        requests: 200,
        sizeBytes: 1_000,
        concurrency: 4,
        write: true,
        read: true,
        fids: undefined,
        assignBatch: 1,
        deletePercent: 0,
        verify: true,
        timeoutMs: 5_000,
        ...options,
      },
      {
        threads: Array.from({ length: threads }, () => run),
        clock: systemClock,
        random: seededRandom(1),
        progress,
        onPhase: () => undefined,
      },
    )
    return { ...result, store, output }
  } finally {
    store.server.closeAllConnections()
    store.server.close()
  }
}

const isCode = (code: string) => (error: unknown) => error instanceof StoreError && error.code === code

test('writes, then reads what was written', async () => {
  const { phases, store, fids, output } = await benchmark({})
  assert.equal(phases.length, 2)
  assert.equal(store.files.size, 200)
  assert.deepEqual([...fids.texts()].sort(), [...store.files.keys()].map(canonical).sort())
  for (const phase of phases) {
    assert.deepEqual(phase.failures, {})
    assert.deepEqual([phase.completed, phase.failed, phase.contentBytes], [200, 0, 200_000])
    assert.equal(phase.times.count, 200)
  }
  assert.match(output, /writing \[#{24}\] {2}100 % {2}200\/200/)
})

const canonical = (fid: string) => fid.replace(/,(00)+/, ',')

test('several threads share files, connections and ids given out in batches', async () => {
  const { phases, store } = await benchmark({ assignBatch: 7, requests: 101 }, new Store(), 3)
  assert.equal(store.files.size, 101)
  assert.deepEqual(
    phases.map((phase) => [phase.completed, phase.failed]),
    [
      [101, 0],
      [101, 0],
    ],
  )
})

test('deleted files are not read again', async () => {
  const { phases, store, fids } = await benchmark({ deletePercent: 50 })
  assert.ok(store.deletes > 50 && store.deletes < 150)
  assert.equal(phases[0]!.deleted, store.deletes)
  assert.equal(fids.length, 200 - store.deletes)
  assert.equal(phases[1]!.failed, 0)
})

test('wrong bytes, and a file under the id of another, are failures', async () => {
  const store = new Store()
  store.spoil = (content, fid) => {
    if (!/[05af]abcdef01$/.test(fid)) return content
    const wrong = Buffer.from(content)
    wrong[wrong.length - 1]! ^= 1
    return wrong
  }
  const { phases } = await benchmark({}, store)
  const [failures] = Object.entries(phases[1]!.failures)
  assert.ok(phases[1]!.failed > 0 && phases[1]!.completed > 0)
  assert.deepEqual(failures, ['read: 1000 bytes that are not those of the file', phases[1]!.failed])
  const trusting = new Store()
  trusting.spoil = () => Buffer.from('anything')
  assert.equal((await benchmark({ verify: false }, trusting)).phases[1]!.failed, 0)
})

test('writes that fail are counted, and their ids not read', async () => {
  const store = new Store()
  let writes = 0
  store.writeStatus = () => (writes++ % 10 === 0 ? 507 : 201)
  const { phases, fids } = await benchmark({}, store)
  assert.deepEqual([phases[0]!.completed, phases[0]!.failed], [180, 20])
  assert.deepEqual(phases[0]!.failures, { 'write: status 507 {}': 20 })
  assert.equal(fids.length, 180)
})

test('a list of ids can be read alone', async () => {
  const { store, fids } = await benchmark({ read: false, requests: 5 })
  const again = await benchmark({ write: false, fids: [...fids.texts()], requests: 50 }, storeWith(store))
  assert.deepEqual([again.phases.length, again.phases[0]!.completed], [1, 50])
})

function storeWith(other: Store): Store {
  const store = new Store()
  for (const [fid, content] of other.files) store.files.set(canonical(fid), content)
  return store
}

test('options that do not fit together are refused before the first request', async () => {
  for (const wrong of [
    { requests: 0 },
    { sizeBytes: 1.5 },
    { concurrency: 0 },
    { deletePercent: 101 },
    { assignBatch: -1 },
    { write: false },
  ]) {
    await assert.rejects(benchmark(wrong), isCode('bad_request'), JSON.stringify(wrong))
  }
  await assert.rejects(benchmark({ concurrency: 2 }, new Store(), 3), isCode('bad_request'))
})
