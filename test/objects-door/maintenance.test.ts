/** The commands that look after objects with versions, on a running server. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { HttpClient } from '../../src/net/http-client.ts'
import { runCairn, type ServerProcess, startServer } from '../support/cairn-process.ts'
import { digest, hash } from './door-kit.ts'

const directory = mkdtempSync(join(tmpdir(), 'cairn-objects-commands-'))
const data = join(directory, 'data')
/** Damage cannot be mended, and days are short. */
const FLAGS = ['--bucket-redundancy', 'objects=none', '--lifecycle-day', '1s']
const WAIT_MS_MAX = 20_000
let server: ServerProcess

before(async () => {
  server = await startServer(data, FLAGS)
})

after(async () => {
  await server.kill()
  rmSync(directory, { recursive: true, force: true })
})

const put = (name: string, body: string) =>
  fetch(`http://${server.objects}/objects/${name}`, {
    method: 'PUT',
    headers: { digest: digest(body) },
    body,
  })

async function cairn(action: string, ...flags: string[]) {
  const [host, port] = server.objects.split(':') as [string, string]
  const secret = ['--cluster-secret-file', join(data, 'cluster.secret')]
  const args = ['objects', action, '--host', host, '--port', port, ...secret, '--json', ...flags]
  const { code, stdout, stderr } = await runCairn(args)
  const lines = stdout.split('\n').filter((line) => line !== '')
  return { code, stderr, lines: lines.map((line) => JSON.parse(line)) }
}

const versions = async () => {
  const text = await (await fetch(`http://${server.objects}/versions/`)).text()
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
    .map(({ name, version }) => `${name} ${version}`)
}

test('prune keeps the latest versions of each object, and says before what it would do', async () => {
  for (let i = 1; i <= 5; i++) await put('many', `text ${i}`)
  await put('single', 'text 1')
  const dry = await cairn('prune', '--keep', '2', '--dry-run')
  assert.equal(dry.code, 0, dry.stderr)
  assert.deepEqual(dry.lines.at(-1), { versions: 6, removed: 3, bytes: 18, failed: 0, dryRun: true })
  assert.deepEqual(dry.lines[0], { name: 'many', version: 1, size: 6, hash: hash('text 1') })
  assert.equal((await versions()).length, 6)
  const done = await cairn('prune', '--keep', '2')
  assert.deepEqual(
    [done.code, done.lines],
    [0, [{ versions: 6, removed: 3, bytes: 18, failed: 0, dryRun: false }]],
  )
  assert.deepEqual(await versions(), ['many 4', 'many 5', 'single 1'])
  const stranger = await runCairn([
    ...['objects', 'prune', '--keep', '1', '--host', '127.0.0.1', '--port', server.objects.split(':')[1]!],
    ...['--cluster-secret', 'a secret of another cluster, long enough'],
  ])
  assert.equal(stranger.code, 1)
  assert.match(stranger.stderr, /wrong cluster secret/)
  assert.equal((await versions()).length, 3)
})

test('names that are dots are pruned and read as well', async () => {
  // Only a client that sends a path as it is written can name them.
  const http = new HttpClient()
  const url = `http://${server.objects}/objects/..`
  for (const text of ['a', 'b', 'c']) {
    const reply = await http.request({
      method: 'PUT',
      url,
      headers: { digest: digest(text) },
      body: Buffer.from(text),
    })
    assert.equal(reply.status, 200)
    reply.discard()
  }
  http.close()
  assert.equal((await cairn('prune', '--keep', '2')).lines[0].removed, 1)
})

test('uploads that nobody goes on with are removed', async () => {
  const headers = { digest: digest('some bytes'), size: '10' }
  const begun = await fetch(`http://${server.objects}/objects/left`, { method: 'POST', headers })
  const url = `http://${server.objects}${begun.headers.get('location')}`
  assert.equal((await fetch(url, { method: 'PUT', body: 'some' })).status, 200)
  const end = Date.now() + WAIT_MS_MAX
  while ((await fetch(url, { method: 'HEAD' })).status === 200) {
    assert.ok(Date.now() < end, 'still there')
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
})

test('orphans: none that are old enough', async () => {
  for (const flags of [['--dry-run'], []]) {
    const { code, lines, stderr } = await cairn('orphans', ...flags)
    assert.equal(code, 0, stderr)
    assert.deepEqual(lines, [{ searched: 0, orphans: 0, bytes: 0, dryRun: flags.length > 0 }])
  }
})

test('verify reads each content once, and finds damage', async () => {
  const dry = await cairn('verify', '--dry-run')
  assert.deepEqual(dry.lines, [{ versions: 5, read: 5, bytes: 20, damaged: 0, dryRun: true }])
  const clean = await cairn('verify')
  assert.equal(clean.code, 0, clean.stderr)
  assert.deepEqual(clean.lines, [{ versions: 5, read: 5, bytes: 20, damaged: 0, dryRun: false }])
  await server.stop()
  for (const name of readdirSync(data).filter((each) => each.endsWith('.dat'))) {
    const bytes = readFileSync(join(data, name))
    const at = bytes.indexOf('text 5')
    if (at < 0) continue
    bytes[at + 5] = 0x36
    writeFileSync(join(data, name), bytes)
  }
  server = await startServer(data, FLAGS)
  const damaged = await cairn('verify')
  assert.equal(damaged.code, 1)
  assert.equal(damaged.lines[0].damaged, 1)
  assert.match(damaged.stderr, /many, version 5: .*cannot be read/)
})
