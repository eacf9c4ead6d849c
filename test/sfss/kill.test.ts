/**
 * `kill -9` of everything that keeps files of sfss, or serves them, under load: nothing is lost that was acknowledged, and the status, asked
 * all the while, tells what is up.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ServerProcess, startServer } from '../support/cairn-process.ts'
import { freePort, type RoleProcess, startRole } from '../support/cluster-processes.ts'
import { noPostgres, PostgresServer } from '../support/postgres.ts'
import { seedsToRun, withSeed } from '../support/seeds.ts'
import { KillLoad } from './kill-load.ts'
import { cairnNode, debianNode, keyOf, type Node, NodesService, noMemcached, until } from './nodes-kit.ts'

const STORE_ROUNDS = 3
/** Requests that were acknowledged before anything is killed. */
const LOAD_MIN = 60
const PAUSE_MS_MAX = 300
const directory = mkdtempSync(join(tmpdir(), 'cairn-sfss-kill-'))
const cleanups: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})
after(() => rmSync(directory, { recursive: true, force: true }))

type Answer = Awaited<ReturnType<KillLoad['status']>>
/** Begins before a question; what it gives judges the answer. */
type Look = () => (answer: Answer) => void

interface Under {
  /** Waits until so many more requests were acknowledged. */
  enough(): Promise<void>
  /** What fails from now on was under way. */
  end(): void
}

/** Runs the load, and asks for the status all the while, until `disturb` is done. */
async function under(load: KillLoad, look: Look, disturb: (under: Under) => Promise<void>): Promise<void> {
  let [isOver, mayFail] = [false, false]
  const ask = async () => {
    while (!isOver) {
      const judge = look()
      judge(await load.status())
      await sleep(10)
    }
  }
  const working = Promise.all([
    load.run(
      () => isOver,
      () => mayFail,
    ),
    ask(),
  ])
  const failed = working.then(() => new Promise<never>(() => {}))
  const end = () => {
    isOver = true
  }
  const enough = async () => {
    const before = load.acknowledged
    await until(() => isOver || load.acknowledged >= before + LOAD_MIN, 'load')
    mayFail = true
  }
  try {
    await Promise.race([disturb({ end, enough }), failed])
  } finally {
    end()
    await working
  }
}

test('cairn server is killed, again and again: all that was acknowledged is in the store', async () => {
  await withSeed(seedsToRun(0)[0]!, async (random) => {
    const load = new KillLoad(random)
    cleanups.push(() => load.close())
    let server: ServerProcess
    let isUp = true
    const look: Look = () => {
      const [wasUp, stored, acknowledged] = [isUp, load.stored, load.acknowledged]
      return (answer) => {
        // Whoever is killed answers nothing, or what was true before.
        if (answer === undefined) return assert.ok(!wasUp || !isUp, 'the server is up, and does not answer')
        assert.equal(answer.status, 200)
        assertStorage(answer.json, server.master, {
          stored,
          within: load.acknowledged - acknowledged + load.writers,
        })
      }
    }
    for (let round = 0; round <= STORE_ROUNDS; round++) {
      server = await startServer(join(directory, 'store'), ['--workers', '2'])
      const { kill } = server
      cleanups.push(kill)
      load.connect(server.sfss)
      await load.verify()
      const answer = await load.status()
      assertStorage(answer!.json, server.master, { stored: load.stored, within: 0 })
      if (round === STORE_ROUNDS) break
      isUp = true
      await under(load, look, async ({ end, enough }) => {
        await enough()
        await sleep(random.below(PAUSE_MS_MAX))
        isUp = false
        end()
        await kill()
      })
      assert.equal(await load.status(), undefined)
    }
  })
})

/** One storage, which is up and has as many files as are known to be there, more or less. */
function assertStorage(
  json: Record<string, Record<string, unknown>>,
  address: string,
  { stored, within }: { stored: number; within: number },
): void {
  const { storages, webserver: _, ...answering } = json
  assert.deepEqual(Object.keys(answering), [address])
  assert.deepEqual(storages, { [address]: { state: 'up', ...answering[address] } })
  const items = Number(answering[address]!.curr_items)
  assert.ok(
    Math.abs(items - stored) <= within,
    `${items} files are told, ${stored} are there, or ${within} more or less`,
  )
}

/** Which processes are up, as far as is sure: while one is killed or started, nobody can say. */
class Lives {
  readonly #states = new Map<string, { isUp: boolean | undefined }>()

  constructor(...addresses: string[]) {
    for (const address of addresses) this.#set(address, true)
  }

  async change(address: string, isUp: boolean, change: () => Promise<unknown>): Promise<void> {
    this.#set(address, undefined)
    await change()
    this.#set(address, isUp)
  }

  /** Begins now; what it gives says whether a process was up, or was down, the whole time. */
  since(): (address: string) => boolean | undefined {
    const before = new Map(this.#states)
    return (address) => {
      const state = this.#states.get(address)!
      return before.get(address) === state ? state.isUp : undefined
    }
  }

  #set(address: string, isUp: boolean | undefined): void {
    this.#states.set(address, { isUp })
  }
}

describe('on two nodes of Cairn and one of memcached', { skip: noMemcached }, () => {
  test('each of the nodes, and sfss, is killed', async () => {
    await withSeed(seedsToRun(0)[0]!, async (random) => {
      const nodes: Node[] = []
      for (const name of ['a', 'b']) nodes.push(await cairnNode(join(directory, name)))
      nodes.push(await debianNode())
      const service = await NodesService.start(nodes)
      cleanups.push(() => service.stop())
      const load = new KillLoad(random)
      cleanups.push(() => load.close())
      load.connect(service.address)
      const lives = new Lives(service.address, ...nodes.map(({ address }) => address))
      const look: Look = () => {
        const wasUp = lives.since()
        return (answer) => assertNodes(answer, nodes, { service: service.address, wasUp })
      }
      for (const node of nodes) {
        await under(load, look, async ({ enough }) => {
          await enough()
          await sleep(random.below(PAUSE_MS_MAX))
          await lives.change(node.address, false, () => node.kill())
          await enough()
          await lives.change(node.address, true, () => node.start())
          await enough()
        })
        await allCopies(load, nodes)
        await load.verify()
      }
      await under(load, look, async ({ end, enough }) => {
        await enough()
        await sleep(random.below(PAUSE_MS_MAX))
        end()
        await lives.change(service.address, false, () => service.kill())
      })
      await lives.change(service.address, true, () => service.restart())
      load.connect(service.address)
      await allCopies(load, nodes)
      await load.verify()
    })
  })
})

function assertNodes(
  answer: Answer,
  nodes: readonly Node[],
  { service, wasUp }: { service: string; wasUp: (address: string) => boolean | undefined },
): void {
  if (answer === undefined) return assert.ok(!wasUp(service), 'sfss is up, and does not answer')
  assert.equal(answer.status, 200)
  const { storages, webserver: _, ...answering } = answer.json
  for (const { address } of nodes) {
    const { state, reason }: { state: string; reason?: string } = storages![address]!
    assert.equal(state, address in answering ? 'up' : 'down')
    const isUp = wasUp(address)
    if (isUp === false) assert.equal(state, 'down', `${address} is down`)
    // Where the machine is slow, that is the truth too.
    if (isUp === true && !/no answer in/.test(reason ?? ''))
      assert.equal(state, 'up', `${address} is up: ${reason}`)
  }
}

/** Reads all files until each node has the same of each of them: then another may be killed. */
async function allCopies(load: KillLoad, nodes: readonly Node[]): Promise<void> {
  const question = `get ${load.paths.map(keyOf).join(' ')}\r\n`
  await until(async () => {
    await load.read()
    const [first, ...others] = await Promise.all(nodes.map((node) => node.ask(question)))
    return others.every((each) => each.equals(first!))
  }, 'the same copies everywhere')
}

describe('on a cluster, with names in PostgreSQL', { skip: noPostgres }, () => {
  test('each of the servers is killed', async () => {
    await withSeed(seedsToRun(0)[0]!, async (random) => {
      const cluster = await Cluster.start(join(directory, 'cluster'))
      cleanups.push(() => cluster.end())
      const load = new KillLoad(random)
      cleanups.push(() => load.close())
      load.connect(cluster.addressOf('sfss'))
      for (const name of ['first', 'master', 'sfss'] as const) {
        await under(load, cluster.look, async ({ end, enough }) => {
          await enough()
          await sleep(random.below(PAUSE_MS_MAX))
          if (name === 'sfss') end()
          await cluster.kill(name)
          await sleep(random.below(PAUSE_MS_MAX))
          end()
        })
        await cluster.start(name)
        load.connect(cluster.addressOf('sfss'))
        await until(async () => isWhole(await load.status()), 'two volume servers')
        await load.verify()
      }
      for (const name of ['first', 'second'] as const) await cluster.kill(name)
      // While the master waits for them, and when it has forgotten them.
      for (let at = 0; at < 30; at++) {
        assert.equal((await load.status())!.status, 504)
        await sleep(50)
      }
      for (const name of ['first', 'second'] as const) await cluster.start(name)
      await until(async () => isWhole(await load.status()), 'two volume servers')
      await load.verify()
    })
  })
})

const isWhole = (answer: Answer) =>
  answer?.status === 200 && Object.values<Record<string, string>>(answer.json)[0]!.volume_servers_up === '2'

type Name = 'master' | 'first' | 'second' | 'sfss'

/** A master, two volume servers and sfss, each a process, on a PostgreSQL. */
class Cluster {
  readonly #roles = new Map<Name, RoleProcess>()
  readonly #starts: ReadonlyMap<Name, () => Promise<RoleProcess>>
  readonly #lives: Lives
  readonly #postgres: PostgresServer

  private constructor(postgres: PostgresServer, starts: ReadonlyMap<Name, () => Promise<RoleProcess>>) {
    this.#postgres = postgres
    this.#starts = starts
    this.#lives = new Lives(...starts.keys())
  }

  static async start(path: string): Promise<Cluster> {
    const postgres = await PostgresServer.start()
    const secret = ['--cluster-secret', 'a secret of this test run only']
    const own = ['--ballast', '0', '--workers', '1']
    const key = ['--root-access-key', 'test-root', '--root-secret-key', 'test-secret', '--workers', '2']
    const [masterPort, first, second, sfss] = [
      await freePort(),
      await freePort(),
      await freePort(),
      await freePort(),
    ]
    const common = ['--master', `127.0.0.1:${masterPort}`, ...secret]
    const metadata = ['--metadata', await postgres.createDatabase('names')]
    const cluster = new Cluster(
      postgres,
      new Map<Name, () => Promise<RoleProcess>>([
        ['master', () => startRole('master', masterPort, ['--data', join(path, 'm'), ...secret])],
        ['first', () => startRole('volume', first, ['--dir', join(path, 'v1'), ...own, ...common])],
        ['second', () => startRole('volume', second, ['--dir', join(path, 'v2'), ...own, ...common])],
        ['sfss', () => startRole('sfss', sfss, [...common, ...key, ...metadata])],
      ]),
    )
    for (const name of cluster.#starts.keys()) await cluster.start(name)
    return cluster
  }

  addressOf(name: Name): string {
    return this.#roles.get(name)!.address
  }

  start(name: Name): Promise<void> {
    return this.#lives.change(name, true, async () => {
      this.#roles.set(name, await this.#starts.get(name)!())
    })
  }

  kill(name: Name): Promise<void> {
    return this.#lives.change(name, false, () => this.#roles.get(name)!.kill())
  }

  /** No status has more volume servers than there are, and without a master there is none. */
  readonly look: Look = () => {
    const wasUp = this.#lives.since()
    return (answer) => {
      if (answer === undefined) return assert.ok(!wasUp('sfss'), 'sfss is up, and does not answer')
      if (answer.status === 504) return
      assert.equal(answer.status, 200)
      assert.notEqual(wasUp('master'), false)
      const told = Number(Object.values<Record<string, string>>(answer.json)[0]!.volume_servers_up)
      const gone = (['first', 'second'] as const).filter((name) => wasUp(name) === false).length
      assert.ok(told >= 1 && told <= 2 - gone, `${told} volume servers are told, ${gone} of two are gone`)
    }
  }

  async end(): Promise<void> {
    for (const role of this.#roles.values()) await role.kill()
    await this.#postgres.end()
  }
}
