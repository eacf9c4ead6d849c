/** Clients of memcached's protocol, one of Python and one of JavaScript, on a node of ours. */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { clientDirectory, noClients } from '../../script/clients.ts'
import { freePort, type RoleProcess, startRole } from '../support/cluster-processes.ts'
import { PROGRAMS } from './client-kit.ts'

const RUN_MS_MAX = 60_000
const skip = noClients('memcached-python') || noClients('memcached-javascript')

describe("clients of memcached's protocol", { skip }, () => {
  const data = mkdtempSync(join(tmpdir(), 'cairn-memcached-clients-'))
  let node: RoleProcess
  before(async () => {
    node = await startRole('memcached', await freePort(), ['--data', data, '--ballast', '0'])
  })
  after(async () => {
    await node?.stop()
    rmSync(data, { recursive: true, force: true })
  })

  function run(program: string, words: string[]): void {
    const { status, stdout, stderr } = spawnSync(program, words, { encoding: 'utf8', timeout: RUN_MS_MAX })
    assert.equal(status, 0, `${stdout}${stderr}`)
  }

  test('pymemcache', () => {
    const python = join(clientDirectory('memcached-python'), 'bin', 'python')
    run(python, [join(PROGRAMS, 'pymemcache_client.py'), ...node.address.split(':')])
  })

  test('memcached for JavaScript', () => {
    const words = [clientDirectory('memcached-javascript'), node.address]
    run(process.execPath, [join(PROGRAMS, 'memcached-javascript.ts'), ...words])
  })
})
