/** The doors of names as `cairn server` opens them, and alone on a cluster with PostgreSQL. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { SignerV4, type SigningKey } from '../../src/iam/sign.ts'
import { ROOT_KEY, runCairn, startServer } from '../support/cairn-process.ts'
import { freePort, startRole } from '../support/cluster-processes.ts'
import { noPostgres, PostgresServer } from '../support/postgres.ts'

const MIB = 1024 * 1024
const ADA: SigningKey = { accessKey: 'ada-key', secretKey: 'ada-secret-key' }
const cleanups: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'cairn-doors-'))
  cleanups.push(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

const put = (door: string, path: string, body: string | Buffer<ArrayBuffer>) =>
  fetch(`http://${door}${path}`, { method: 'PUT', body })

async function get(door: string, path: string): Promise<Buffer> {
  const reply = await fetch(`http://${door}${path}`)
  assert.equal(reply.status, 200, path)
  return Buffer.from(await reply.arrayBuffer())
}

test('files by name outlive a kill, and S3 says no to strangers', async () => {
  const data = newDirectory()
  let server = await startServer(data)
  cleanups.push(() => server.kill())
  const large = randomBytes(9 * MIB + 17)
  const files = new Map<string, Buffer<ArrayBuffer>>([
    ['/a/empty', Buffer.alloc(0)],
    ['/a/small', Buffer.from('small')],
    ['/b/large', large],
  ])
  for (let at = 0; at < 50; at++) files.set(`/many/${at}`, randomBytes(at * 100))
  await Promise.all(
    [...files].map(async ([path, bytes]) =>
      assert.equal((await put(server.filer, path, bytes)).status, 201, path),
    ),
  )
  const denied = await fetch(`http://${server.s3}/`)
  assert.equal(denied.status, 403)
  assert.match(await denied.text(), /<Code>AccessDenied<\/Code>/)
  await server.kill()
  server = await startServer(data)
  for (const [path, bytes] of files) assert.ok((await get(server.filer, path)).equals(bytes), path)
  const range = { headers: { range: 'bytes=4194300-4194309' } }
  const part = await fetch(`http://${server.filer}/b/large`, range)
  assert.ok(Buffer.from(await part.arrayBuffer()).equals(large.subarray(4194300, 4194310)))
  await server.stop()
  assert.doesNotMatch(server.log(), /"level":"error"/)
})

test('the filer stays on this machine unless it is named, S3 goes where the server goes', async () => {
  const server = await startServer(newDirectory(), ['--ip', '0.0.0.0'])
  cleanups.push(() => server.kill())
  const at = (role: string) => new RegExp(`"role":"${role}","address":"([^"]*):\\d+"`).exec(server.log())?.[1]
  assert.deepEqual([at('filer'), at('s3')], ['127.0.0.1', '0.0.0.0'])
  await server.stop()
  const named = await startServer(newDirectory(), ['--listen', 'filer=0.0.0.0:0,s3=127.0.0.1:0'])
  cleanups.push(() => named.kill())
  assert.match(named.log(), /"role":"filer","address":"0\.0\.0\.0:\d+"/)
  await named.stop()
})

test('websites have a door of their own where one is asked for', async () => {
  const port = await freePort()
  const server = await startServer(newDirectory(), ['--website', `127.0.0.1:${port}`])
  cleanups.push(() => server.kill())
  const reply = await fetch(`http://127.0.0.1:${port}/`)
  assert.equal(reply.status, 404)
  assert.match(await reply.text(), /<h1>404 Not Found<\/h1>.*NoSuchBucket/s)
  await server.stop()
})

test('the root key is made once, shown once, and nobody else can read it', async () => {
  const data = newDirectory()
  const doors = ['master', 'volume', 'filer', 's3', 'sfss', 'memcached', 'hashstore', 'objects']
  const ports = doors.flatMap((door) => [`--${door}-port`, '0'])
  const started = async () => {
    const program = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
    const words = [program, 'server', '--data', data, ...ports, '--ballast', '0', '--log-format', 'json']
    const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'pipe'] })
    cleanups.push(() => child.kill('SIGKILL'))
    let out = ''
    child.stdout.on('data', (piece: Buffer) => {
      out += piece.toString()
    })
    for await (const piece of child.stderr) if (piece.toString().includes('"ready"')) break
    const ended = new Promise((resolve) => child.once('close', resolve))
    child.kill('SIGTERM')
    await ended
    return out
  }
  const first = await started()
  const path = join(data, 'root.credentials')
  const kept = readFileSync(path, 'utf8')
  const [, accessKey] = /^CAIRN_ROOT_ACCESS_KEY=([A-Z0-9]{20})$/m.exec(kept)!
  const [, secretKey] = /^CAIRN_ROOT_SECRET_KEY=([A-Za-z0-9]{40})$/m.exec(kept)!
  assert.ok(first.includes(accessKey!) && first.includes(secretKey!) && first.includes(path))
  assert.equal(statSync(path).mode & 0o777, 0o600)
  assert.equal(await started(), '')
  assert.equal(readFileSync(path, 'utf8'), kept)
})

test('accounts come and go with their file, without a restart', async () => {
  const file = join(newDirectory(), 'accounts.json')
  const account = { accounts: [{ name: 'ada', accessKeys: [ADA] }] }
  writeFileSync(file, '{"accounts":[]}')
  const server = await startServer(newDirectory(), ['--identities', file])
  cleanups.push(() => server.kill())
  const statusOf = async (key: SigningKey, method: string, path: string) => {
    const signed = new SignerV4(key).sign({ method, host: server.s3, path }, Date.now())
    const reply = await fetch(`http://${server.s3}${path}`, { method, headers: signed.headers.slice(1) })
    await reply.arrayBuffer()
    return reply.status
  }
  const root = { accessKey: ROOT_KEY.accessKeyId, secretKey: ROOT_KEY.secretAccessKey }
  assert.deepEqual([await statusOf(root, 'PUT', '/photos'), await statusOf(ADA, 'PUT', '/hers')], [200, 403])
  const until = async (said: RegExp) => {
    while (!said.test(server.log())) await new Promise((resolve) => setTimeout(resolve, 50))
  }
  writeFileSync(file, JSON.stringify(account))
  await until(/accounts were read again/)
  assert.deepEqual([await statusOf(ADA, 'PUT', '/hers'), await statusOf(ADA, 'GET', '/photos')], [200, 403])
  writeFileSync(file, '{"accounts":')
  await until(/accounts stay as they were/)
  assert.equal(await statusOf(ADA, 'GET', '/hers'), 200)
  await server.stop()
})

test('wrong settings are said at once', async () => {
  const wrong: [string[], RegExp][] = [
    [['server', '--filer-port', '9001', '--s3-port', '9001'], /--filer-port and --s3-port must differ/],
    [['server', '--root-access-key', 'only'], /--root-access-key and --root-secret-key go together/],
    [['server', '--listen', 'sftp=127.0.0.1:22'], /no door is named sftp/],
    [['s3', '--master', '127.0.0.1:1'], /cairn s3 needs --metadata postgres/],
    [['sfss', '--master', '127.0.0.1:1'], /cairn sfss needs --metadata postgres/],
    [['filer', '--metadata', './here'], /cairn filer needs --metadata postgres/],
  ]
  for (const [words, reason] of wrong) {
    const { code, stderr } = await runCairn(words)
    assert.equal(code, 2, words.join(' '))
    assert.match(stderr, reason)
  }
})

describe('alone, on PostgreSQL', { skip: noPostgres }, () => {
  test('several processes have the same names', async () => {
    const directory = newDirectory()
    const postgres = await PostgresServer.start()
    cleanups.push(() => postgres.end())
    const metadata = await postgres.createDatabase('names')
    const secret = ['--cluster-secret', 'a secret of this test run only']
    const master = await startRole('master', await freePort(), ['--data', join(directory, 'm'), ...secret])
    cleanups.push(() => master.stop())
    const cluster = ['--master', master.address, ...secret]
    const own = ['--dir', join(directory, 'v'), '--ballast', '0', '--workers', '1']
    const volume = await startRole('volume', await freePort(), [...own, ...cluster])
    cleanups.push(() => volume.stop())
    const key = ['--root-access-key', 'test-root', '--root-secret-key', 'test-secret']
    const names = [...cluster, ...key, '--metadata', metadata]
    const roles = ['filer', 'filer', 's3', 'sfss'] as const
    const doors = await Promise.all(
      roles.map(async (role) => {
        const monitor = `127.0.0.1:${await freePort()}`
        const flags = [...names, '--workers', '2', '--monitor', monitor]
        const door = await startRole(role, await freePort(), flags)
        cleanups.push(() => door.stop())
        return { address: door.address, monitor }
      }),
    )
    const [one, other, s3, sfss] = doors.map(({ address }) => address) as [string, string, string, string]
    const large = randomBytes(5 * MIB)
    assert.equal((await put(one, '/dir/large', large)).status, 201)
    assert.equal((await put(other, '/dir/small', 'small')).status, 201)
    assert.ok((await get(other, '/dir/large')).equals(large))
    assert.equal((await get(one, '/dir/small')).toString(), 'small')
    assert.equal((await fetch(`http://${one}/dir/small`, { method: 'DELETE' })).status, 204)
    assert.equal((await fetch(`http://${other}/dir/small`)).status, 404)
    assert.equal((await fetch(`http://${s3}/`)).status, 403)
    assert.equal((await put(sfss, '/file?path=a/b.txt', 'by path')).status, 200)
    assert.equal((await get(sfss, '/file?path=a/b.txt')).toString(), 'by path')
    for (const [at, { monitor }] of doors.entries()) {
      const door = roles[at]!
      await get(monitor, '/healthz')
      const metrics = (await get(monitor, '/metrics')).toString()
      assert.match(metrics, new RegExp(`^cairn_requests_total\\{door="${door}",action="[^"]*"\\} [1-9]`, 'm'))
      assert.deepEqual(JSON.parse((await get(monitor, '/')).toString()).doors, { [door]: doors[at]!.address })
    }
    const status = JSON.parse((await get(sfss, '/status')).toString())
    assert.equal(status[master.address].curr_items, '1')
    await volume.kill()
    assert.equal((await fetch(`http://${sfss}/file?path=a/b.txt`)).status, 504)
    assert.equal((await put(sfss, '/file?path=c', 'x')).status, 504)
    await master.kill()
    assert.equal((await fetch(`http://${sfss}/status`)).status, 504)
  })
})
