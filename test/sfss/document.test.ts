/** The lines of the document that sfss is made after, as they are printed there, run by a shell: on the store, and on memcached. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { startServer } from '../support/cairn-process.ts'
import { freePort, startRole } from '../support/cluster-processes.ts'
import { debianNode, NodesService, noMemcached } from './nodes-kit.ts'

const POST =
  'curl -v -F "upload_file=@/path/to/local/file" -X POST "http://0.0.0.0:8255/files?path=file/path/to/save"'
const PUT =
  'curl -F "upload_file=@/path/to/local/file" -X PUT "http://0.0.0.0:8255/file?path=file/path/to/save"'
const GET = 'curl -v "http://0.0.0.0:8255/file?path=file/path/saved"'
const STATUS = 'curl -v http://0.0.0.0:8255/status'
/** What each storage has in the document's example. */
const STATS = [
  ...[
    'total_items',
    'rusage_user',
    'cmd_get',
    'time',
    'pid',
    'uptime',
    'bytes_written',
    'threads',
    'get_hits',
  ],
  ...['cmd_set', 'curr_items', 'get_misses', 'bytes_read', 'rusage_system'],
  ...['curr_connections', 'total_connections'],
]
const CURL_MS_MAX = 20_000

const directory = mkdtempSync(join(tmpdir(), 'cairn-sfss-document-'))
const file = join(directory, 'file')
after(() => rmSync(directory, { recursive: true, force: true }))

interface Ran {
  out: string
  said: string
}

function assertLinesWork(address: string, storages: number): void {
  // As the document says: "replace 0.0.0.0:8255 to real host and port".
  const run = (line: string): Ran => {
    const words = line.replaceAll('0.0.0.0:8255', address).replaceAll('/path/to/local/file', file)
    const { stdout, stderr, status } = spawnSync('sh', ['-c', words], {
      encoding: 'utf8',
      timeout: CURL_MS_MAX,
    })
    assert.equal(status, 0, stderr)
    return { out: stdout, said: stderr }
  }
  writeFileSync(file, 'content of the local file')
  assert.match(run(POST).said, /< HTTP\/1\.1 201 Created/m)
  assert.match(run(GET).said, /< HTTP\/1\.1 404 Not Found/m)
  run(POST.replace('file/path/to/save', 'file/path/saved'))
  const got = run(GET)
  assert.match(got.said, /< HTTP\/1\.1 200 OK/m)
  assert.match(got.said, /< Content-Type: application\/octet-stream/m)
  assert.match(got.said, /< Content-Length: 25/m)
  assert.equal(got.out, 'content of the local file')
  writeFileSync(file, 'changed')
  assert.match(run(PUT.replace('curl', 'curl -v')).said, /< HTTP\/1\.1 200 OK/m)
  assert.equal(run(GET.replace('saved', 'to/save')).out, 'changed')
  const { said, out } = run(STATUS)
  assert.match(said, /< Content-Type: application\/json/m)
  const { storages: all, webserver, ...each } = JSON.parse(out)
  assert.equal(Object.keys(each).length, storages)
  for (const [storage, stats] of Object.entries<Record<string, string>>(each)) {
    assert.deepEqual(all[storage], { state: 'up', ...stats })
    for (const name of STATS) assert.equal(typeof stats[name], 'string', name)
  }
  assert.equal(webserver.cmd_set, '3')
}

test('in cairn server, on the store', async () => {
  const server = await startServer(join(directory, 'data'))
  try {
    assertLinesWork(server.sfss, 1)
  } finally {
    await server.stop()
  }
})

test('cairn sfss, on a store of its own, which is there again after a kill', async () => {
  const [port, monitor] = [await freePort(), `127.0.0.1:${await freePort()}`]
  const own = ['--data', join(directory, 'own'), '--ballast', '0', '--sfss-file-limit', '1KiB']
  const start = () => startRole('sfss', port, ['--host', '0.0.0.0', '--monitor', monitor, ...own])
  let role = await start()
  try {
    assertLinesWork(role.address, 1)
    const metrics = await (await fetch(`http://${monitor}/metrics`)).text()
    assert.match(metrics, /^cairn_requests_total\{door="sfss",action="write"\} 3$/m)
    assert.equal((await fetch(`http://${monitor}/healthz`)).status, 200)
    for (const [size, status] of [
      [1024, 201],
      [1025, 413],
    ] as const) {
      const post = { method: 'POST', body: 'x'.repeat(size) }
      assert.equal((await fetch(`http://${role.address}/files?path=limit`, post)).status, status)
    }
    await role.kill()
    role = await start()
    const reply = await fetch(`http://${role.address}/file?path=file/path/to/save`)
    assert.equal(await reply.text(), 'changed')
  } finally {
    await role.kill()
  }
})

describe('cairn sfss on three memcached', { skip: noMemcached }, () => {
  test('the lines of the document', async () => {
    const service = await NodesService.start(await Promise.all([debianNode(), debianNode(), debianNode()]))
    try {
      assertLinesWork(service.address, 3)
    } finally {
      await service.stop()
    }
  })
})
