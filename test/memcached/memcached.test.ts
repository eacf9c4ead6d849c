/** The memcached-protocol node as `cairn server` serves it and alone, byte by byte, with libmemcached's own tools, and killed. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type ServerProcess, startServer } from '../support/cairn-process.ts'
import { freePort, startRole } from '../support/cluster-processes.ts'

const MIB = 1024 * 1024
const directory = mkdtempSync(join(tmpdir(), 'cairn-memcached-'))
const WAIT_MS_MAX = 20_000
let server: ServerProcess

before(async () => {
  server = await startServer(join(directory, 'data'))
})

after(async () => {
  await server.kill()
  rmSync(directory, { recursive: true, force: true })
})

/** Sends all at once and gives what comes back until the server has closed, as it does behind the end of what is sent. */
function ask(...sent: (string | Buffer)[]): Promise<string> {
  const [host, port] = server.memcached.split(':') as [string, string]
  return askAt({ host, port: Number(port) }, ...sent)
}

function askAt(at: { host: string; port: number }, ...sent: (string | Buffer)[]): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = ''
    const socket = connect(at)
    socket.setTimeout(WAIT_MS_MAX, () => socket.destroy(new Error(`no answer behind ${answer}`)))
    socket.on('data', (bytes) => {
      answer += bytes.toString('latin1')
    })
    socket.once('end', () => resolve(answer))
    socket.once('error', reject)
    for (const each of sent) socket.write(each)
    socket.end()
  })
}

function dial(): Socket {
  const [host, port] = server.memcached.split(':') as [string, string]
  return connect(Number(port), host)
}

test('values are stored under conditions and read, in one packet', async () => {
  assert.equal(
    await ask(
      'set a 7 0 3\r\nabc\r\nget a missing\r\nadd a 0 0 1\r\nx\r\nadd b 0 0 1\r\ny\r\nreplace c 0 0 1\r\nz\r\n',
      'append a 0 0 2\r\nde\r\nprepend a 0 0 1\r\n_\r\nget a b\r\ndelete b\r\ndelete b\r\nget b\r\nquit\r\n',
    ),
    'STORED\r\nVALUE a 7 3\r\nabc\r\nEND\r\nNOT_STORED\r\nSTORED\r\nNOT_STORED\r\n' +
      'STORED\r\nSTORED\r\nVALUE a 7 6\r\n_abcde\r\nVALUE b 0 1\r\ny\r\nEND\r\nDELETED\r\nNOT_FOUND\r\nEND\r\n',
  )
  const [, unique] = / (\d+)\r\n_abcde/.exec(await ask('gets a\r\n'))!
  assert.equal(
    await ask(
      `cas a 0 0 1 ${unique}\r\n1\r\ncas a 0 0 1 ${unique}\r\n2\r\ncas none 0 0 1 1\r\n3\r\nget a\r\n`,
    ),
    'STORED\r\nEXISTS\r\nNOT_FOUND\r\nVALUE a 0 1\r\n1\r\nEND\r\n',
  )
  const max = '18446744073709551615'
  assert.equal(
    await ask(`cas a 0 0 1 ${max}\r\n1\r\ncas none 0 0 1 ${max}\r\n1\r\ncas a 0 0 1 ${max}0\r\n1\r\n`),
    'EXISTS\r\nNOT_FOUND\r\nCLIENT_ERROR bad command line format\r\n',
  )
})

test('a key may be named noreply', async () => {
  assert.equal(
    await ask('set noreply 0 0 1\r\nx\r\ndelete noreply\r\ndelete noreply noreply\r\nget noreply\r\n'),
    'STORED\r\nDELETED\r\nEND\r\n',
  )
})

test('numbers count, times pass, and noreply is silent', async () => {
  assert.equal(
    await ask(
      'set n 0 0 2\r\n10\r\nincr n 5\r\ndecr n 100\r\nincr none 1\r\nincr n x\r\nset n 0 0 1\r\nq\r\nincr n 1\r\n',
    ),
    'STORED\r\n15\r\n0\r\nNOT_FOUND\r\nCLIENT_ERROR invalid numeric delta argument\r\nSTORED\r\n' +
      'CLIENT_ERROR cannot increment or decrement non-numeric value\r\n',
  )
  const max = '18446744073709551615'
  assert.equal(await ask(`set m 0 0 20\r\n${max}\r\nincr m 1\r\n`), 'STORED\r\n0\r\n')
  assert.equal(
    await ask('set t 0 -1 1\r\nx\r\nget t\r\nset t 0 100 1\r\nx\r\ntouch t -1\r\nget t\r\ntouch t 0\r\n'),
    'STORED\r\nEND\r\nSTORED\r\nTOUCHED\r\nEND\r\nNOT_FOUND\r\n',
  )
  assert.equal(
    await ask('set s 0 0 1 noreply\r\n1\r\nincr s 1 noreply\r\nget s\r\ndelete s noreply\r\nget s\r\n'),
    'VALUE s 0 1\r\n2\r\nEND\r\nEND\r\n',
  )
})

test('bad input gets an error, and what follows is understood', async () => {
  const long = 'k'.repeat(251)
  assert.equal(
    await ask(
      `get ${long}\r\nset ${long} 0 0 1\r\nx\r\nset a 0 0 -1\r\nset a 0 0 3\r\nabcdef\r\nbogus\r\nget\r\nset x y 0 1\r\nz\r\n`,
      'verbosity 1\r\nversion\r\n',
    ).then((answer) => answer.replace(/VERSION .*/, 'VERSION')),
    'CLIENT_ERROR bad command line format\r\nCLIENT_ERROR bad command line format\r\nCLIENT_ERROR bad data chunk\r\n' +
      'CLIENT_ERROR bad data chunk\r\nERROR\r\nERROR\r\nERROR\r\nCLIENT_ERROR bad command line format\r\nOK\r\nVERSION\r\n',
  )
  const large = Buffer.alloc(4 * MIB + 1, 'v')
  assert.equal(
    await ask(`set l 0 0 ${large.length}\r\n`, large, '\r\nget l\r\n'),
    'SERVER_ERROR object too large for cache\r\nEND\r\n',
  )
  assert.equal(await ask('x'.repeat(100_000)), 'CLIENT_ERROR line too long\r\n')
  assert.match(await ask(Buffer.from([0x80, 0, 0, 0])), /^CLIENT_ERROR only the text protocol/)
})

test('each set of a packet gets its own answer, in its turn', async () => {
  const [long, large] = ['k'.repeat(251), Buffer.alloc(4 * MIB + 1, 'v').toString('latin1')]
  const sets = [
    'set c1 0 0 1\r\n1\r\nset c2 0 0 1 noreply\r\n2\r\n',
    `set ${long} 0 0 1\r\nx\r\nset c3 0 0 1\r\n3\r\nset c1 9 0 2\r\n11\r\n`,
    `set c4 0 0 ${large.length}\r\n${large}\r\nset c5 0 0 1\r\n5\r\n`,
    'set c6 0 0 3\r\nabcdef\r\nset c7 0 -1 1\r\n7\r\nincr c3 4\r\nset c3 0 0 1\r\n9\r\nincr c3 1\r\n',
  ]
  assert.equal(
    await ask(...sets, 'get c1 c2 c3 c4 c5 c6 c7\r\n'),
    'STORED\r\nCLIENT_ERROR bad command line format\r\nSTORED\r\nSTORED\r\n' +
      'SERVER_ERROR object too large for cache\r\nSTORED\r\n' +
      'CLIENT_ERROR bad data chunk\r\nERROR\r\nSTORED\r\n7\r\nSTORED\r\n10\r\n' +
      'VALUE c1 9 2\r\n11\r\nVALUE c2 0 1\r\n2\r\nVALUE c3 0 2\r\n10\r\nVALUE c5 0 1\r\n5\r\nEND\r\n',
  )
})

test('values of all sizes up to the limit, pipelined by the hundred', async () => {
  const bytes = Buffer.alloc(MIB, 'abc\r\n')
  assert.equal(await ask(`set big 1 0 ${MIB}\r\n`, bytes, '\r\n'), 'STORED\r\n')
  const answer = await ask('get big\r\n')
  assert.ok(
    Buffer.from(answer, 'latin1').equals(
      Buffer.concat([Buffer.from(`VALUE big 1 ${MIB}\r\n`), bytes, Buffer.from('\r\nEND\r\n')]),
    ),
  )
  const keys = Array.from({ length: 500 }, (_, at) => `p${at}`)
  const stored = await ask(
    keys.map((key, at) => `set ${key} 0 0 3\r\n${String(at).padStart(3)}\r\n`).join(''),
  )
  assert.equal(stored, 'STORED\r\n'.repeat(500))
  const each = await ask(keys.map((key) => `get ${key}\r\n`).join(''), 'bogus\r\n'.repeat(2_000))
  assert.equal(each.split('END\r\n').length - 1, keys.length)
  assert.ok(each.endsWith('ERROR\r\n'.repeat(2_000)))
  const got = await ask(`get ${keys.join(' ')}\r\n`)
  assert.equal(
    got,
    `${keys.map((key, at) => `VALUE ${key} 0 3\r\n${String(at).padStart(3)}\r\n`).join('')}END\r\n`,
  )
})

test('a flush takes what came before it, and nothing behind it', async () => {
  assert.equal(
    await ask(
      'set f 0 0 1\r\n1\r\nset g 0 0 1\r\n1\r\nflush_all\r\nset g 0 0 1\r\n2\r\nget f g\r\nflush_all x\r\n',
    ),
    'STORED\r\nSTORED\r\nOK\r\nSTORED\r\nVALUE g 0 1\r\n2\r\nEND\r\nCLIENT_ERROR bad command line format\r\n',
  )
  const metrics = await (await fetch(`http://${server.volume}/metrics`)).text()
  assert.match(metrics, /cairn_memcached_total\{what="cmd_flush"\} [1-9]/)
  assert.match(await ask('stats\r\n'), /^STAT pid \d+\r\n(STAT \w+ \S+\r\n)+END\r\n$/)
})

test('a flush takes the keys of this door alone', async () => {
  const file = { method: 'PUT', body: 'kept' }
  const doors = [`http://${server.filer}/flushed.txt`, `http://${server.sfss}/file?path=flushed.txt`]
  for (const door of doors) assert.ok((await fetch(door, file)).ok)
  assert.equal(
    await ask('set flushed.txt 0 0 1\r\n1\r\nflush_all\r\nget flushed.txt\r\n'),
    'STORED\r\nOK\r\nEND\r\n',
  )
  for (const door of doors) assert.equal(await (await fetch(door)).text(), 'kept')
})

const noTools = spawnSync('memccapable', ['-V']).error !== undefined

/** Runs a program to its end; gives what it printed. */
async function run(program: string, words: string[]): Promise<string> {
  const child = spawn(program, words, { timeout: 4 * WAIT_MS_MAX })
  let out = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (piece: Buffer) => {
      out += piece.toString()
    })
  const code = await new Promise((resolve) => child.once('close', resolve))
  assert.equal(code, 0, out)
  return out
}

test('memccapable passes', { skip: noTools }, async () => {
  const [host, port] = server.memcached.split(':') as [string, string]
  await run('memccapable', ['-h', host, '-p', port, '-a'])
})

test('memcaslap drives it', { skip: noTools }, async () => {
  const load = join(directory, 'memcaslap')
  writeFileSync(load, 'key\n20 40 1\nvalue\n100 2000 1\ncmd\n0 0.3\n1 0.7\n')
  const words = [
    '-s',
    server.memcached,
    '-T',
    '1',
    '-c',
    '8',
    '-w',
    '1k',
    '-x',
    '20000',
    '-v',
    '0.5',
    '-F',
    load,
  ]
  const out = await run('memcaslap', words)
  const figure = (name: string) => Number(new RegExp(`^${name}: (\\d+)`, 'm').exec(out)?.[1])
  assert.equal(figure('cmd_get') + figure('cmd_set'), 20_000, out)
  assert.ok(figure('cmd_get') > 5_000, out)
  assert.deepEqual([figure('get_misses'), figure('verify_misses'), figure('verify_failed')], [0, 0, 0], out)
})

test('alone, as cairn memcached, with a monitor; what was answered outlives a kill, as full as it was', async () => {
  const data = join(directory, 'alone')
  const monitor = await freePort()
  const flags = ['--data', data, '--ballast', '0', '--max-value', '64KiB', '--no-flush-all']
  const port = await freePort()
  let role = await startRole('memcached', port, [...flags, '--monitor', `127.0.0.1:${monitor}`])
  try {
    const at = () => ({ host: '127.0.0.1', port })
    const long = `set a 0 0 ${64 * 1024 + 1}\r\n${'x'.repeat(64 * 1024 + 1)}\r\n`
    assert.equal(
      await askAt(at(), `set a 5 0 1\r\n1\r\nincr a 41\r\n${long}flush_all\r\nget a\r\nget ${'\u0001'}\r\n`),
      'STORED\r\n42\r\nSERVER_ERROR object too large for cache\r\n' +
        'CLIENT_ERROR flush_all not allowed\r\nVALUE a 5 2\r\n42\r\nEND\r\nEND\r\n',
    )
    assert.match(await askAt(at(), 'stats settings\r\n'), /^STAT item_size_max 65536\r\nEND/)
    const metrics = await (await fetch(`http://127.0.0.1:${monitor}/metrics`)).text()
    assert.match(metrics, /cairn_memcached_total\{what="get_hits"\} 1\n/)
    assert.match(metrics, /cairn_volumes\{collection="_keyed_memcached",state="writable"\} 1/)
    assert.equal((await fetch(`http://127.0.0.1:${monitor}/healthz`)).status, 200)
    await role.kill()
    role = await startRole('memcached', port, flags)
    assert.equal(await askAt(at(), 'get a\r\ndelete a\r\n'), 'VALUE a 5 2\r\n42\r\nEND\r\nDELETED\r\n')
    await role.stop()
    role = await startRole('memcached', port, flags)
    assert.equal(await askAt(at(), 'get a\r\n'), 'END\r\n')
  } finally {
    await role.kill()
  }
})

test('what was answered outlives a kill', async () => {
  const lanes = Array.from({ length: 8 }, (_, lane) => {
    const socket = dial()
    let answers = ''
    socket.on('data', (bytes) => {
      answers += bytes.toString()
    })
    socket.on('error', () => {})
    for (let at = 0; at < 300; at++) socket.write(`set k${lane}.${at} 0 0 6\r\n${String(at).padEnd(6)}\r\n`)
    return { lane, stored: () => answers.split('STORED\r\n').length - 1 }
  })
  const deadlineMs = performance.now() + WAIT_MS_MAX
  while (lanes.some(({ stored }) => stored() < 50) && performance.now() < deadlineMs)
    await new Promise((resolve) => setImmediate(resolve))
  await server.kill()
  const stored = lanes.map((each) => ({ lane: each.lane, count: each.stored() }))
  server = await startServer(join(directory, 'data'))
  for (const { lane, count } of stored) {
    assert.ok(count >= 50)
    const keys = Array.from({ length: count }, (_, at) => `k${lane}.${at}`)
    const values = keys.map((key, at) => `VALUE ${key} 0 6\r\n${String(at).padEnd(6)}\r\n`)
    assert.equal(await ask(`get ${keys.join(' ')}\r\n`), `${values.join('')}END\r\n`)
  }
  assert.equal(await ask('get f\r\n'), 'END\r\n')
})
