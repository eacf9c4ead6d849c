/** The commands of the hash store as processes: what they refuse, and how they end. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { HashstoreClient } from '../../src/protocols/hashstore/client.ts'
import { runCairn } from '../support/cairn-process.ts'
import type { RoleProcess } from '../support/cluster-processes.ts'
import { bytesSource, fetchWhole, portOf, startDataServer, WAIT_MS_MAX } from './hashstore-kit.ts'

const directory = mkdtempSync(join(tmpdir(), 'cairn-hashstore-commands-'))
const local = (...names: string[]) => join(directory, ...names)
let server: RoleProcess
let client: HashstoreClient

before(async () => {
  server = await startDataServer(local('server'))
  client = new HashstoreClient({ host: '127.0.0.1', port: portOf(server) }, { timeoutMs: WAIT_MS_MAX })
  writeFileSync(local('machines'), `${server.address.replace(':', ',')}\n`)
})

after(async () => {
  client?.close()
  await server?.kill()
  rmSync(directory, { recursive: true, force: true })
})

const argsOf = (action: string, ...args: string[]) => [
  ...['hashstore', action, '--machines', local('machines')],
  ...args,
]
const hashstore = (action: string, ...args: string[]) => runCairn(argsOf(action, ...args))
const store = (path: string, text: string) => client.put(Buffer.from(path), bytesSource(Buffer.from(text)))

test('what is no ordinary file is refused before anything is sent', async () => {
  execFileSync('mkfifo', [local('pipe')])
  writeFileSync(local('ordinary'), 'x')
  const refused = await hashstore('put', local('ordinary'), local('pipe'))
  assert.equal(refused.code, 2)
  assert.match(refused.stderr, /^cairn: cannot read .*pipe: it is neither an ordinary file nor a folder\n$/)
  await assert.rejects(client.stat(Buffer.from(local('ordinary'))), { code: 'not_found' })
  const sfss = await runCairn(['sfss-client', '--path', 'pipe', '--filepath', local('pipe')])
  assert.equal(sfss.code, 2)
  assert.match(sfss.stderr, /neither an ordinary file nor a folder/)
})

test('a file that is longer than is said of it replaces nothing', {
  skip: !existsSync('/proc/cpuinfo'),
}, async () => {
  await store('kept', 'as it was')
  const refused = await hashstore('put', '/proc/cpuinfo', '--path', 'kept')
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /^cairn: kept: the file does not end after 0 bytes/)
  assert.equal(String(await fetchWhole(client, 'kept')), 'as it was')
})
