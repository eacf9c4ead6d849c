/** sfss on memcached nodes, Cairn's and Debian's side by side, all of them processes: what holds while they are killed, hung and damaged. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { runCairn } from '../support/cairn-process.ts'
import { openFiles } from './copies-kit.ts'
import { cairnNode, debianNode, keyOf, type Node, NodesService, noMemcached, until } from './nodes-kit.ts'

const KIB = 1024
const MIB = 1024 * KIB
const directory = mkdtempSync(join(tmpdir(), 'cairn-sfss-nodes-'))

describe('on two nodes of Cairn and one of memcached', { skip: noMemcached }, () => {
  let service: NodesService
  let [first, second, third]: Node[] = []

  before(async () => {
    const nodes = [
      await cairnNode(join(directory, 'a')),
      await cairnNode(join(directory, 'b')),
      await debianNode(),
    ]
    ;[first, second, third] = nodes
    service = await NodesService.start(nodes)
  })
  after(() => service.stop())

  test('files are stored, changed, read by range and removed; each node has a copy', async () => {
    assert.equal(
      (await fetch(service.url('/files?path=a/b.txt'), { method: 'POST', body: 'one' })).status,
      201,
    )
    assert.equal(await service.put('a/b.txt', 'two three'), 200)
    const reply = await fetch(service.url('/file?path=a/b.txt'), { headers: { range: 'bytes=4-8' } })
    assert.deepEqual([reply.status, await reply.text()], [206, 'three'])
    assert.equal(reply.headers.get('content-type'), 'text/plain')
    const conditional = { method: 'PUT', body: 'x', headers: { 'if-match': '"other"' } }
    assert.equal((await fetch(service.url('/file?path=a/b.txt'), conditional)).status, 412)
    const removal = { method: 'DELETE', headers: conditional.headers }
    assert.equal((await fetch(service.url('/file?path=a/b.txt'), removal)).status, 412)
    for (const node of service.nodes)
      await until(async () => (await node.ask(`get ${keyOf('a/b.txt')}\r\n`)).includes('two three'))
    assert.equal(await service.remove('a/b.txt'), 204)
    assert.equal(await service.remove('a/b.txt'), 404)
    assert.equal((await service.get('a/b.txt')).status, 404)
    assert.equal((await fetch(service.url('/file'))).status, 400)
    assert.deepEqual((await service.up()).sort(), service.nodes.map(({ address }) => address).sort())
  })

  test('its monitor shows the nodes, to people and programs', async () => {
    const page = await service.page('/')
    assert.match(page.type!, /^text\/html/)
    assert.deepEqual(
      (await service.monitor()).map(({ state }) => state),
      ['up', 'up', 'up'],
    )
    const { text } = await service.page('/metrics')
    assert.match(text, new RegExp(`cairn_sfss_node_up\\{node="${first!.address}"\\} 1`))
    await service.page('/healthz')
  })

  for (const [what, which] of [
    ["a node of Cairn's", () => first!],
    ['memcached, which forgets', () => third!],
  ] as const) {
    test(`one of three is killed, ${what}: nothing fails, and reads repair it`, async () => {
      const node = which()
      const [old, gone, removed] = [`old ${what}`, `gone ${what}`, `removed ${what}`]
      for (const path of [old, removed]) assert.equal(await service.put(path, 'before'), 200)
      await node.kill()
      const paths = Array.from({ length: 20 }, (_, at) => `${gone}/${at}`)
      const stored = await Promise.all(paths.map((path) => service.put(path, `value of ${path}`)))
      assert.ok(stored.every((status) => status === 200))
      assert.equal(await service.put(old, 'after'), 200)
      assert.equal(await service.remove(removed), 204)
      assert.equal((await service.get('nothing')).status, 404)
      assert.ok(!(await service.up()).includes(node.address))
      const told = (await service.monitor()).find(({ address }) => address === node.address)!
      assert.equal(told.state, 'down')
      assert.match(told.reason!, /ECONNREFUSED/)
      await node.start()
      await service.untilUp(3)
      // A thread that has not seen yet that the node is back repairs nothing.
      await until(async () => {
        for (const path of paths) assert.equal((await service.get(path)).body.toString(), `value of ${path}`)
        assert.equal((await service.get(old)).body.toString(), 'after')
        assert.equal((await service.get(removed)).status, 404)
        return (await service.repaired(node)) >= paths.length + 2
      }, 'repairs')
      assert.ok((await node.ask(`get ${keyOf(old)}\r\n`)).includes('after'))
      assert.ok(!(await node.ask(`get ${keyOf(removed)}\r\n`)).includes('before'))
    })
  }

  test('a node that hangs delays nothing for long, and is told', async () => {
    await service.put('hang', 'here')
    second!.signal('SIGSTOP')
    try {
      assert.equal(await service.put('hung', 'too'), 200)
      assert.equal((await service.get('hang')).body.toString(), 'here')
      assert.equal((await service.get('nothing')).status, 404)
      const { text } = await service.page('/metrics')
      for (const [{ address }, up] of [
        [first!, 1],
        [second!, 0],
      ] as const)
        assert.match(text, new RegExp(`cairn_sfss_node_up\\{node="${address}"\\} ${up}`))
      assert.ok(!(await service.up()).includes(second!.address))
    } finally {
      second!.signal('SIGCONT')
    }
    await service.untilUp(3)
  })

  test('a node that hangs is logged, and when it answers again, though nobody asks for anything', async () => {
    const told = (message: string) =>
      service
        .log()
        .split('\n')
        .filter((line) => line.includes(message) && line.includes(second!.address)).length
    const [quiet, answering] = [told('does not answer'), told('a storage answers')]
    second!.signal('SIGSTOP')
    try {
      await until(async () => told('does not answer') > quiet)
      assert.match(service.log(), /no answer in 1000 ms/)
    } finally {
      second!.signal('SIGCONT')
    }
    await until(async () => told('a storage answers') > answering)
    await service.untilUp(3)
  })

  test('a damaged copy is never served, and mended; when all are damaged, nothing is served', async () => {
    const body = randomBytes(3_000)
    await service.put('damaged', body)
    const key = keyOf('damaged')
    const damage = async (node: Node) => {
      const answer = await node.ask(`get ${key}\r\n`)
      const value = answer.subarray(answer.indexOf('\r\n') + 2, answer.lastIndexOf('\r\nEND'))
      value[value.length - 100]! ^= 1
      const stored = await node.ask(`set ${key} 0 0 ${value.length}\r\n`, value, '\r\n')
      assert.equal(stored.toString(), 'STORED\r\n')
    }
    for (const node of service.nodes) {
      await until(async () => (await node.ask(`get ${key}\r\n`)).length > body.length)
      const before = await service.repaired(node)
      await damage(node)
      assert.ok((await service.get('damaged')).body.equals(body))
      await until(async () => (await service.repaired(node)) > before, 'a repair')
    }
    await Promise.all(service.nodes.map(damage))
    assert.equal((await service.get('damaged')).status, 500)
    assert.equal(await service.put('damaged', 'anew'), 200)
    assert.equal((await service.get('damaged')).body.toString(), 'anew')
  })

  test('what is too large for one of the nodes is refused before that loses what it has', async () => {
    assert.equal(await service.put('large', 'small'), 200)
    const reply = await fetch(service.url('/file?path=large'), {
      method: 'PUT',
      body: randomBytes(MIB + KIB),
    })
    assert.equal(reply.status, 413)
    assert.match(await reply.text(), /memcached -I/)
    assert.equal((await service.get('large')).body.toString(), 'small')
    const fits = randomBytes(1_000 * KIB)
    assert.equal(await service.put('large', fits), 200)
    assert.ok((await service.get('large')).body.equals(fits))
    assert.equal(await service.put('huge', randomBytes(2 * MIB + 1)), 413)
  })

  test('files over its limit that others stored are read and removed', async () => {
    const others = openFiles(service.nodes.map(({ port }) => port))
    const large = randomBytes(700 * KIB)
    const small = await NodesService.start(service.nodes, ['--sfss-file-limit', '16KiB'])
    try {
      await others.put('over', large)
      assert.ok((await small.get('over')).body.equals(large))
      assert.equal(await small.put('over', large), 413)
      assert.equal(await small.remove('over'), 204)
      assert.equal((await small.get('over')).status, 404)
    } finally {
      others.close()
      await small.end()
    }
  })

  test('all nodes down: 504, for the status too; and when they are back, what they keep is there', async () => {
    await service.put('kept', 'kept')
    await third!.kill()
    await second!.kill()
    assert.equal((await service.get('kept')).status, 504)
    assert.equal(await service.put('kept', 'not'), 504)
    assert.equal(await service.remove('kept'), 504)
    for (const request of [{ method: 'HEAD' }, { method: 'PUT', body: 'x', headers: { 'if-match': '*' } }])
      assert.equal((await fetch(service.url('/file?path=kept'), request)).status, 504)
    assert.deepEqual(await service.up(), [first!.address])
    await first!.kill()
    for (const target of ['/file?path=kept', '/status'])
      assert.equal((await fetch(service.url(target))).status, 504)
    assert.equal((await fetch(service.url('/files?path=kept'), { method: 'POST', body: 'x' })).status, 504)
    for (const node of service.nodes) await node.start()
    await service.untilUp(3)
    const { status, body } = await service.get('kept')
    assert.equal(status, 200)
    assert.ok(['kept', 'not'].includes(body.toString()))
  })
})

test("any of three nodes of Cairn's is killed under load: no request fails, nothing is lost, and the status is true", async () => {
  const nodes = await Promise.all([0, 1, 2].map((at) => cairnNode(join(directory, `k${at}`))))
  const service = await NodesService.start(nodes)
  const stored = new Map<string, string>()
  let isOver = false
  const lane = async (number: number) => {
    for (let at = 0; !isOver; at++) {
      const [path, value] = [`lane ${number}/${at % 50}`, `${at} of ${number}`]
      assert.equal(await service.put(path, value), 200)
      stored.set(path, value)
      assert.equal((await service.get(path)).body.toString(), value)
    }
  }
  const lanes = Promise.all([0, 1, 2, 3].map(lane))
  try {
    for (const node of nodes) {
      const before = stored.size
      await until(() => stored.size >= Math.min(200, before + 30), 'load')
      await node.kill()
      assert.deepEqual(
        (await service.up()).sort(),
        nodes
          .filter((each) => each !== node)
          .map((each) => each.address)
          .sort(),
      )
      await node.start()
      await service.untilUp(3)
    }
    isOver = true
    await lanes
    assert.ok(stored.size >= 90)
    await Promise.all(nodes.map((node) => node.kill()))
    assert.deepEqual(await service.up(), [])
    await Promise.all(nodes.map((node) => node.start()))
    await service.untilUp(3)
    // Any one of them may be missing.
    await nodes[1]!.kill()
    for (const [path, value] of stored) assert.equal((await service.get(path)).body.toString(), value)
  } finally {
    isOver = true
    await lanes.catch(() => {})
    await service.stop()
  }
})

test('wrong settings of the storage are said at once', async () => {
  const wrong: [string, RegExp][] = [
    ['memcached://127.0.0.1:1 --copies 2', /--copies 2 needs as many servers/],
    ['memcached://127.0.0.1:1,127.0.0.1:1', /names a server twice/],
    ['memcached://127.0.0.1:0', /nobody listens on port 0/],
    ['redis://127.0.0.1:1', /must be memcached:\/\//],
  ]
  for (const [words, reason] of wrong) {
    const { code, stderr } = await runCairn(['sfss', '--storage', ...words.split(' ')])
    assert.equal(code, 2)
    assert.match(stderr, reason)
  }
})

after(() => rmSync(directory, { recursive: true, force: true }))
