/** A connection of one thread that only reads: scripts are answered at once. */
import type { Query, Row, Script } from '../meta-store.ts'
import { runSteps } from '../run-steps.ts'
import type { SqliteConnection } from './connection.ts'

export class SqliteReader {
  readonly #connection: SqliteConnection
  /** Scripts that were seen to ask more than once. */
  readonly #manySteps = new Set<string>()

  constructor(connection: SqliteConnection) {
    this.#connection = connection
  }

  /**
   * One statement sees one state by itself. A script that asks again begins anew, in a transaction, and from then on
   * always has one; its steps depend on nothing but arguments and rows, so that nobody can tell.
   */
  read<A, R>(script: Script<A, R>, args: A): R {
    if (this.#manySteps.has(script.name)) return this.#inTransaction(script, args)
    const steps = script.steps(args)
    const first = steps.next()
    if (first.done) return first.value
    const second = steps.next(this.#connection.run(first.value))
    if (second.done) return second.value
    this.#manySteps.add(script.name)
    return this.#inTransaction(script, args)
  }

  close(): void {
    this.#connection.close()
  }

  #inTransaction<A, R>(script: Script<A, R>, args: A): R {
    this.#connection.command('begin')
    try {
      return runSteps(script as Script<never, unknown>, args, (query: Query): Row[] =>
        this.#connection.run(query),
      ) as R
    } finally {
      if (this.#connection.inTransaction) this.#connection.command('commit')
    }
  }
}
