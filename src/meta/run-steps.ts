/** Drives a script where queries are answered at once. */
import type { Query, Row, Script } from './meta-store.ts'

/** Any script: what it takes and gives is the business of those who call it. */
export type AnyScript = Script<never, unknown>

export function runSteps(script: AnyScript, args: unknown, run: (query: Query) => Row[]): unknown {
  const steps = script.steps(args as never)
  let step = steps.next()
  while (!step.done) step = steps.next(run(step.value))
  return step.value
}

/** Scripts by their names, which must differ. */
export function scriptTable(scripts: readonly AnyScript[]): ReadonlyMap<string, AnyScript> {
  const table = new Map<string, AnyScript>()
  for (const script of scripts) {
    if (table.has(script.name)) throw new Error(`two scripts named ${script.name}`)
    table.set(script.name, script)
  }
  return table
}

/** Asked of a writer to see whether it answers. */
export const ping: Script<null, null> = {
  name: 'meta.ping',
  *steps() {
    yield { sql: 'select 1 as one', params: [] }
    return null
  },
}
