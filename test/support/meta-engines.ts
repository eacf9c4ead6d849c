/** The engines of the metadata layer, each ready for a test: SQLite in one thread and in several, and PostgreSQL. */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MessageChannel, Worker } from 'node:worker_threads'
import { systemClock } from '../../src/base/clock.ts'
import { systemRandom } from '../../src/base/random.ts'
import type { MetaStore } from '../../src/meta/meta-store.ts'
import { openMetaClient, openMetaStore } from '../../src/meta/open-meta-store.ts'
import { ITEMS } from './meta-scripts.ts'
import { noPostgres, PostgresServer } from './postgres.ts'

export interface Engine {
  name: string
  skip: string | false
  /** Before the first and after the last test. */
  begin(): Promise<void>
  end(): Promise<void>
  /** Two stores on one fresh database, as two serving threads have them; and what closes them. */
  open(): Promise<{ stores: [MetaStore, MetaStore]; close(): Promise<void> }>
}

const parts = { clock: systemClock, random: systemRandom, migrations: [ITEMS] }

export const sqliteAlone: Engine = {
  name: 'SQLite in one thread',
  skip: false,
  begin: async () => {},
  end: async () => {},
  async open() {
    const directory = mkdtempSync(join(tmpdir(), 'cairn-meta-'))
    const store = await openMetaStore(directory, parts)
    return {
      stores: [store, store],
      async close() {
        await store.close()
        rmSync(directory, { recursive: true, force: true })
      },
    }
  },
}

export const sqliteThreads: Engine = {
  name: 'SQLite with a writing thread',
  skip: false,
  begin: async () => {},
  end: async () => {},
  async open() {
    const directory = mkdtempSync(join(tmpdir(), 'cairn-meta-'))
    const channels = [new MessageChannel(), new MessageChannel()]
    const ports = channels.map(({ port1 }) => port1)
    const writer = new Worker(new URL('./meta-writer-thread.ts', import.meta.url), {
      workerData: { directory, ports },
      transferList: ports,
    })
    await once(writer, 'message')
    const [first, second] = channels.map(({ port2 }) => openMetaClient(directory, port2, parts))
    return {
      stores: [first!, second!],
      async close() {
        await first!.close()
        await second!.close()
        writer.postMessage('close')
        await once(writer, 'exit')
        rmSync(directory, { recursive: true, force: true })
      },
    }
  },
}

export function postgresEngine(): Engine {
  let server: PostgresServer
  let databases = 0
  return {
    name: 'PostgreSQL',
    skip: noPostgres,
    async begin() {
      server = await PostgresServer.start()
    },
    async end() {
      await server?.end()
    },
    async open() {
      const url = await server.createDatabase(`test_${++databases}`)
      const [first, second] = await Promise.all([openMetaStore(url, parts), openMetaStore(url, parts)])
      return {
        stores: [first, second],
        async close() {
          await first.close()
          await second.close()
        },
      }
    },
  }
}
