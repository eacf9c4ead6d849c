/**
 * The guide's own walk: six data servers and two API servers, started by its variables, over RabbitMQ, with names in PostgreSQL and
 * shards as files; each of its commands, and what it printed. 127.1.1.N and 127.1.2.N stand for its addresses.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { freePort } from '../support/cluster-processes.ts'
import { curl, type Printed } from '../support/curl.ts'
import { noPostgres, PostgresServer } from '../support/postgres.ts'
import { noRabbit, RabbitServer } from '../support/rabbitmq.ts'

const PROGRAM = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const START_MS_MAX = 150_000
const STOP_MS_MAX = 15_000
const WAIT_MS_MAX = 20_000
const DATA_SERVERS = [1, 2, 3, 4, 5, 6]
const HASH = 'DrkE6D0mP4aGOU37mPqUrpauEk5LRso0LBt6jnwISv0='
const HASH_OF_TEST5 = '2MRHhgqkvILs04RzLIEpZBzpgos/9QlNKRXEh7cMngY='
const TEXT_OF_TEST5 = 'this object will be seperated to 4+2'
/** Of its tree, in the order of their indexes. */
const FILES_OF_TEST5 = [
  '%2FQbxVU4EOPqz%2F2DYStzA19gOT5KBh2eEeuktmV3NFgY=',
  'S8JnDgiwWnfNud06pGE+%2FEHgmBzNpFAEg6s%2FgR0J4Cw=',
  'syDfa6hGt2PmnadawXz8SSr2zaalOCW6zCT3Ky7BcW4=',
  '0aX0oLlWMm02ane45F2KxC79KTwjBUmuh1GwXcfRqH4=',
  '3bG4EYy18vq+9JU%2F0vzbeRxDjFglFg2OBa26TlEt8gA=',
  '5GrT1Vp7C1sI4V5brEWSJ+heWjWxDpJvVE75nVY8bdk=',
].map((hash, index) => `${HASH_OF_TEST5.replace('/', '%2F')}.${index}.${hash}`)

const stored: Printed = { status: '200 OK', headers: { 'Content-Length': '0' }, body: '' }
const served = (body: string): Printed => ({
  status: '200 OK',
  headers: { 'Content-Length': String(body.length), 'Content-Type': 'text/plain; charset=utf-8' },
  body,
})

interface Started {
  child: ChildProcess
  log: () => string
}

describe('the walk of the guide', { skip: noRabbit || noPostgres }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'cairn-walk-'))
  let rabbit: RabbitServer
  let postgres: PostgresServer
  let port: number
  let common: Record<string, string>
  let apis: Started[] = []
  const others: Started[] = []

  const root = (index: number) => join(directory, 'stg', String(index))
  const filesOf = (index: number) => readdirSync(join(root(index), 'objects'))
  const allFiles = () => DATA_SERVERS.flatMap(filesOf).sort()
  const api = (index: number, target: string) => `http://127.1.2.${index}:${port}${target}`

  before(async () => {
    ;[rabbit, postgres] = await Promise.all([RabbitServer.start(), PostgresServer.start()])
    port = await freePort()
    common = {
      PATH: process.env.PATH!,
      HOME: directory,
      RABBITMQ_SERVER: rabbit.url,
      ES_SERVER: 'localhost:9200',
      CAIRN_CLUSTER_SECRET: 'a secret that the servers of the walk share',
      CAIRN_LOG_FORMAT: 'json',
      CAIRN_WORKERS: '1',
      CAIRN_METADATA: await postgres.createDatabase('walk'),
      CAIRN_ROOT_ACCESS_KEY: 'walk',
      CAIRN_ROOT_SECRET_KEY: 'the-secret-key-of-the-walk',
    }
    const master = ['master', '--port', '0', '--bus', rabbit.url, '--data', join(directory, 'master')]
    // In whatever order they come: the bus brings them together.
    const starting = [start(master, {}, '"master is listening"'), ...DATA_SERVERS.map(startData)]
    others.push(...(await Promise.all(starting)))
  })

  after(async () => {
    await Promise.all([...apis, ...others].map(({ child }) => end(child)))
    await Promise.all([rabbit?.end(), postgres?.end()])
    rmSync(directory, { recursive: true, force: true })
  })

  function startData(index: number): Promise<Started> {
    const own = { LISTEN_ADDRESS: `127.1.1.${index}:${port}`, STORAGE_ROOT: root(index) }
    const flags = ['--layout', 'files', '--ballast', '0', '--bus-heartbeat', '1s']
    return start(['volume', ...flags], own, '"joined the master"')
  }

  async function startApis(...flags: string[]): Promise<void> {
    await Promise.all(apis.map(({ child }) => end(child)))
    const addresses = [1, 2].map((index) => ({ LISTEN_ADDRESS: `127.1.2.${index}:${port}` }))
    apis = await Promise.all(addresses.map((own) => start(['objects', ...flags], own, '"ready"')))
  }

  async function start(args: string[], own: Record<string, string>, wanted: string): Promise<Started> {
    const env = { ...common, ...own }
    const child = spawn(process.execPath, [PROGRAM, ...args], { env, stdio: ['ignore', 'ignore', 'pipe'] })
    let log = ''
    await new Promise<void>((resolve, reject) => {
      const fail = () => reject(new Error(`cairn ${args[0]} does not start:\n${log}`))
      const timer = setTimeout(fail, START_MS_MAX)
      child.stderr.on('data', (piece: Buffer) => {
        log += piece.toString()
        if (!log.includes(wanted)) return
        clearTimeout(timer)
        resolve()
      })
      child.once('close', () => {
        clearTimeout(timer)
        fail()
      })
    }).catch(async (error: unknown) => {
      await end(child)
      throw error
    })
    return { child, log: () => log }
  }

  test('its first chapters: no Digest, bytes as they are', async () => {
    await startApis('--digest', 'optional', '--bucket-redundancy', 'objects=none')
    const put = ['-XPUT', '-d', 'this is object test2']
    assert.deepEqual(await curl(api(2, '/objects/test2'), ...put), stored)
    assert.deepEqual(await curl(api(1, '/objects/test2')), served('this is object test2'))
    assert.match(apis[0]!.log(), /ES_SERVER.*not used/)
  })

  test('versions and locate', async () => {
    const version1 = 'This is object content version-1'
    const put = ['-XPUT', '-d', version1, '-H']
    assert.equal(
      (await curl(api(2, '/objects/test'), ...put, 'Digest: SHA-256=9AimTha2kCISf8bVfi1jPXo2BzY=')).status,
      '400 Bad Request',
    )
    assert.deepEqual(await curl(api(2, '/objects/test'), ...put, `Digest: SHA-256=${HASH}`), stored)
    const located = await curl(api(2, `/locate/${HASH}`))
    assert.match(located.body, new RegExp(`^"127\\.1\\.1\\.[1-6]:${port}"$`))
    assert.deepEqual(located, served(located.body))
    assert.deepEqual(await curl(api(2, '/objects/test')), served(version1))
    assert.deepEqual(await curl(api(2, '/objects/test?version')), served(version1))
    assert.deepEqual(await curl(api(2, `/objects/${HASH}`)), served(version1))
    assert.deepEqual(await curl(api(2, '/objects/test'), '-XDELETE'), stored)
    assert.equal((await curl(api(1, '/objects/test'))).status, '404 Not Found')
  })

  test('4+2: the six files of its tree, removed and overwritten ones, and too many', async () => {
    await startApis()
    const put = ['-XPUT', '-d', TEXT_OF_TEST5, '-H', `Digest: SHA-256=${HASH_OF_TEST5}`]
    assert.deepEqual(await curl(api(2, '/objects/test5'), ...put), stored)
    assert.deepEqual(allFiles(), FILES_OF_TEST5.toSorted())
    for (const index of DATA_SERVERS) {
      assert.deepEqual(readdirSync(root(index)).sort(), ['.cairn', 'objects', 'temp'], 'as `tree` shows it')
      assert.equal(filesOf(index).length, 1)
      assert.deepEqual(readdirSync(join(root(index), 'temp')), [])
    }
    assert.deepEqual(await curl(api(1, '/objects/test5')), served(TEXT_OF_TEST5))
    const located = JSON.parse((await curl(api(1, `/locate/${HASH_OF_TEST5}`))).body)
    assert.deepEqual(Object.keys(located), ['0', '1', '2', '3', '4', '5'])
    assert.equal(new Set(Object.values(located)).size, 6)

    for (const index of DATA_SERVERS) {
      rmSync(join(root(index), 'objects', filesOf(index)[0]!))
      assert.deepEqual(await curl(api(1, '/objects/test5')), served(TEXT_OF_TEST5))
      await until(`the file of server ${index} is there again`, () => filesOf(index).length === 1)
    }
    const [victim] = filesOf(4)
    writeFileSync(join(root(4), 'objects', victim!), 'errMsg\n')
    assert.deepEqual(await curl(api(2, '/objects/test5')), served(TEXT_OF_TEST5))
    await until('the file that was overwritten is right again', () =>
      isRight(join(root(4), 'objects', victim!)),
    )
    assert.deepEqual(allFiles(), FILES_OF_TEST5.toSorted())

    // What looks at the other shards behind the GET before may have all of them in memory still.
    await until('it is lost', async () => {
      for (const index of [1, 2, 3])
        for (const file of filesOf(index)) rmSync(join(root(index), 'objects', file), { force: true })
      return (await curl(api(1, '/objects/test5'))).status === '404 Not Found'
    })
    assert.equal((await curl(api(1, `/locate/${HASH_OF_TEST5}`))).status, '404 Not Found')
  })

  const textOf = (name: string) => `the text of ${name}`
  const put = async (name: string) => {
    const digest = `Digest: SHA-256=${hashOf(textOf(name))}`
    const args = ['-XPUT', '-d', textOf(name), '-H', digest]
    assert.deepEqual(await curl(api(1, `/objects/${name}`), ...args), stored)
  }

  test('a data server is killed: writes go on, and it gets what it has missed', async () => {
    await put('before')
    const dead = others.pop()!
    const ended = new Promise((resolve) => dead.child.once('close', resolve))
    dead.child.kill('SIGKILL')
    await ended
    await put('meanwhile')
    const isOf = (name: string) => (file: string) =>
      file.startsWith(hashOf(textOf(name)).replaceAll('/', '%2F'))
    assert.equal(allFiles().filter(isOf('meanwhile')).length, 5)
    for (const name of ['before', 'meanwhile'])
      assert.deepEqual(await curl(api(2, `/objects/${name}`)), served(textOf(name)))
    others.push(await startData(DATA_SERVERS.length))
    await until('the sixth file is there', () => filesOf(DATA_SERVERS.length).some(isOf('meanwhile')))
  })

  test('the broker gone, and back: all of it goes on', async () => {
    const names = Array.from({ length: 5 }, (_, at) => `kept${at}`)
    const readAll = async () => {
      for (const [at, name] of names.entries())
        assert.deepEqual(await curl(api(1 + (at % 2), `/objects/${name}`)), served(textOf(name)))
    }
    for (const name of names) await put(name)
    await rabbit.stop('SIGKILL')
    await readAll()
    await put('written-meanwhile')
    names.push('written-meanwhile')
    await rabbit.run()
    await readAll()
    await put('written-after')
  })
})

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + WAIT_MS_MAX
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`not in time: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** Whether a file holds what the last part of its name says. */
function isRight(path: string): boolean {
  return path.endsWith(`.${hashOf(readFileSync(path)).replaceAll('/', '%2F')}`)
}

function hashOf(bytes: string | Buffer): string {
  return createHash('sha256').update(bytes).digest('base64')
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise<void>((resolve) => void child.once('close', () => resolve()))
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX)
  child.kill('SIGTERM')
  await ended
  clearTimeout(timer)
}
