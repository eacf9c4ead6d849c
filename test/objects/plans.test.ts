/** No statement of the object layer looks through a table: what it costs must not depend on how much there is. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { systemRandom } from '../../src/base/random.ts'
import type { MetaStore, Row, Script, Steps } from '../../src/meta/meta-store.ts'
import { openMetaStore } from '../../src/meta/open-meta-store.ts'
import { randomOf } from '../support/seeds.ts'
import { startObjects } from './objects-kit.ts'
import { ObjectsWalk } from './walk.ts'

const STEPS = 600

/** Notes every statement that passes. */
function recorded(meta: MetaStore, statements: Set<string>): MetaStore {
  const noting = <A, R>(script: Script<A, R>): Script<A, R> => ({
    name: script.name,
    *steps(args): Steps<R> {
      const steps = script.steps(args)
      let step = steps.next()
      while (!step.done) {
        if (!script.name.startsWith('test.')) statements.add(step.value.sql)
        const rows: Row[] = yield step.value
        step = steps.next(rows)
      }
      return step.value
    },
  })
  return new Proxy(meta, {
    get(target, name: keyof MetaStore) {
      if (name === 'write' || name === 'read')
        return (script: Script<unknown, unknown>, args: unknown) => target[name](noting(script), args)
      const value = target[name]
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

test('every statement of a random walk goes by an index, and sorts nothing', async () => {
  const statements = new Set<string>()
  const kit = await startObjects(undefined, (meta) => recorded(meta, statements))
  try {
    await ObjectsWalk.run(kit, randomOf(1), STEPS)
  } finally {
    await kit.close()
  }
  assert.ok(statements.size > 30, `${statements.size} statements`)
  const directory = mkdtempSync(join(tmpdir(), 'cairn-plans-'))
  try {
    await (await openMetaStore(directory, { clock: systemClock, random: systemRandom })).close()
    const database = new DatabaseSync(join(directory, 'metadata.sqlite'))
    for (const sql of statements) {
      const nulls = Array.from({ length: sql.split('?').length - 1 }, () => null)
      const plan = database.prepare(`explain query plan ${sql}`).all(...nulls)
      const text = plan.map(({ detail }) => detail).join('; ')
      assert.doesNotMatch(text, /SCAN (?!CONSTANT)|TEMP B-TREE/, `${sql}: ${text}`)
    }
    database.close()
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})
