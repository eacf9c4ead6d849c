/** Servers that find each other over a real RabbitMQ: reports, places, forged messages, and a broker that dies and comes back. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, describe, test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { StoreError } from '../../src/base/errors.ts'
import { silentLog } from '../../src/base/log.ts'
import { systemRandom } from '../../src/base/random.ts'
import { ClusterAuth } from '../../src/blobs/cluster-auth.ts'
import { ClusterBus } from '../../src/blobs/cluster-bus.ts'
import type { Heartbeat } from '../../src/blobs/cluster-wire.ts'
import { freePort, type RoleProcess, startRole } from '../support/cluster-processes.ts'
import { noRabbit, RabbitServer } from '../support/rabbitmq.ts'

const SECRET = 'secret of the tests of the bus'
const WAIT_MS_MAX = 20_000

async function until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = performance.now() + WAIT_MS_MAX
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`not in time: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

describe('the bus', { skip: noRabbit }, () => {
  let rabbit: RabbitServer
  const buses: ClusterBus[] = []

  before(async () => {
    rabbit = await RabbitServer.start()
  })

  afterEach(async () => {
    for (const bus of buses.splice(0)) await bus.close()
  })

  after(() => rabbit.end())

  function newBus(secret = SECRET): ClusterBus {
    const auth = new ClusterAuth({ secret: Buffer.from(secret), clock: systemClock, random: systemRandom })
    const parts = { clock: systemClock, random: systemRandom, log: silentLog }
    const bus = new ClusterBus({ ...parts, url: rabbit.url, auth, nodeId: randomUUID() })
    buses.push(bus)
    return bus
  }

  function heartbeat(sequence: number): Heartbeat {
    return {
      protocolVersion: 1,
      epoch: 1,
      nodeId: randomUUID(),
      bootId: 'b',
      sequence,
      periodMs: 5_000,
      url: '127.0.0.1:8080',
      publicUrl: '127.0.0.1:8080',
      dataCenter: '',
      rack: '',
      volumeSizeLimitBytes: 1,
      leaving: false,
      directories: [],
      volumes: [],
    }
  }

  test('questions, answers, refusals and strangers', async () => {
    const heard: Heartbeat[] = []
    let reports = 0
    const master = newBus()
    master.start({
      master: {
        url: () => '127.0.0.1:9333',
        async takeHeartbeat(each) {
          if (each.sequence === 2) throw new StoreError('conflict', 'twice')
          heard.push(each)
        },
      },
    })
    for (const port of [1, 2]) {
      newBus().start({
        volumes: {
          report: () => void reports++,
          locate: (id) =>
            id === port ? { url: `127.0.0.1:${port}`, publicUrl: `[::1]:${port}` } : undefined,
        },
      })
    }
    const asker = newBus()
    asker.start()
    await until('all are on the bus', () => buses.every(({ isOpen }) => isOpen))
    assert.deepEqual(await asker.find(), ['127.0.0.1:9333'])
    const [location, ...more] = await asker.locate(2)
    assert.deepEqual([location?.url, location?.publicUrl, more], ['127.0.0.1:2', '[::1]:2', []])
    assert.deepEqual(await asker.locate(3), [], 'nobody has it')
    await asker.report(heartbeat(1))
    await assert.rejects(asker.report(heartbeat(2)), { code: 'conflict' })
    assert.deepEqual(
      heard.map(({ sequence, periodMs }) => ({ sequence, periodMs })),
      [{ sequence: 1, periodMs: 2_000 }],
      'out after 5 of these, which is 10 s',
    )
    master.callRoll()
    await until('both heard the roll call', () => reports === 2)

    const stranger = newBus('another secret, as long as the first')
    stranger.start()
    await until('the stranger is on the bus', () => stranger.isOpen)
    await assert.rejects(stranger.report(heartbeat(3)), { code: 'unavailable' })
    assert.equal(heard.length, 1)
  })

  test('a broker that is killed and comes back', async () => {
    const opened: number[] = []
    const bus = newBus()
    bus.onOpen(() => void opened.push(opened.length))
    bus.start({ volumes: { report() {}, locate: () => ({ url: 'a:1', publicUrl: 'a:1' }) } })
    await until('it is connected', () => bus.isOpen)
    assert.equal((await bus.locate(7)).length, 1)
    await rabbit.stop('SIGKILL')
    await until('it has noticed', () => !bus.isOpen)
    await assert.rejects(bus.locate(7), { code: 'unavailable' })
    await rabbit.run()
    await until('it is connected again', () => bus.isOpen)
    assert.equal((await bus.locate(7)).length, 1)
    assert.equal(opened.length, 2)
  })

  test('servers without an address: files are found, also while the broker is gone', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'cairn-bus-'))
    const processes: RoleProcess[] = []
    const common = ['--bus', rabbit.url, '--bus-heartbeat', '500ms', '--cluster-secret', SECRET]
    const start = async (role: 'master' | 'volume', flags: string[]) => {
      const started = await startRole(role, await freePort(), [...common, ...flags])
      processes.push(started)
      return started
    }
    try {
      const own = ['--ballast', '0', '--workers', '1']
      const [master, first, second] = await Promise.all([
        start('master', ['--data', join(directory, 'm')]),
        start('volume', ['--dir', join(directory, 'a'), ...own]),
        start('volume', ['--dir', join(directory, 'b'), ...own]),
      ])
      await assert.rejects(start('master', ['--data', join(directory, 'm2')]), /answers on the bus already/)

      const files = new Map<string, string>()
      const put = async () => {
        const assigned = (await (await fetch(`http://${master.address}/dir/assign`)).json()) as {
          fid: string
          url: string
        }
        const content = `content of ${assigned.fid}`
        const reply = await fetch(`http://${assigned.url}/${assigned.fid}`, { method: 'PUT', body: content })
        assert.equal(reply.status, 201)
        files.set(assigned.fid, content)
      }
      const readAll = async () => {
        for (const { address } of [first, second]) {
          for (const [fid, content] of files) {
            const reply = await fetch(`http://${address}/${fid}`)
            assert.deepEqual([reply.status, await reply.text()], [200, content], `${fid} through ${address}`)
          }
        }
      }
      const nodeCount = async () => {
        const reply = await fetch(`http://${master.address}/dir/status`)
        const { Topology } = (await reply.json()) as {
          Topology: { DataCenters: { Racks: { DataNodes: unknown[] }[] }[] }
        }
        return Topology.DataCenters.flatMap(({ Racks }) => Racks.flatMap(({ DataNodes }) => DataNodes)).length
      }
      for (let count = 0; count < 20; count++) await put()
      await readAll()
      for (const { address } of [master, first]) {
        const metrics = await (await fetch(`http://${address}/metrics`)).text()
        assert.match(metrics, /^cairn_bus_connected 1$/m)
      }

      await rabbit.stop('SIGKILL')
      for (let count = 0; count < 20; count++) await put()
      await readAll()
      assert.equal(await nodeCount(), 2, 'nobody is out for being silent')
      await rabbit.run()
      await until('the volume servers report again', () =>
        [first, second].every((each) => each.log().split('"connected to the bus"').length >= 3),
      )
      for (let count = 0; count < 5; count++) await put()
      await readAll()

      await second.kill()
      await until('a dead server is out', async () => (await nodeCount()) === 1).catch((error: Error) => {
        throw new Error(`${error.message}; the master says:\n${master.log()}`)
      })
    } finally {
      for (const each of processes) await each.stop()
      rmSync(directory, { recursive: true, force: true })
    }
  })
})
