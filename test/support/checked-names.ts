/** Names of objects, each answer of which is compared with what the metadata say at that moment, without what is remembered. */
import assert from 'node:assert/strict'
import type { MetaStore } from '../../src/meta/meta-store.ts'
import { Names, type NamesParts } from '../../src/objects/names.ts'
import type { Bucket, FoundObject, ReadOptions } from '../../src/objects/object-store.ts'

/** The same metadata, of which nobody tells when they change. */
export function forgetful(meta: MetaStore): MetaStore {
  return new Proxy(meta, {
    get(target, name: keyof MetaStore) {
      if (name === 'keyChanges') return undefined
      const value = target[name]
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

export class CheckedNames extends Names {
  readonly #plain: Names | undefined

  constructor(parts: NamesParts) {
    super(parts)
    // Elsewhere nothing is remembered, and another may write between two looks.
    if (parts.meta.keyChanges !== undefined)
      this.#plain = new Names({ ...parts, meta: forgetful(parts.meta) })
  }

  override find(bucket: Bucket, key: string, options: ReadOptions = {}): FoundObject | Promise<FoundObject> {
    const find = () => super.find(bucket, key, options)
    if (this.#plain === undefined) return find()
    assert.deepEqual(
      answerOf(find),
      answerOf(() => this.#plain!.find(bucket, key, options)),
      `key ${key}`,
    )
    return find()
  }
}

function answerOf(find: () => FoundObject | Promise<FoundObject>): unknown {
  try {
    const found = find()
    assert.ok(!(found instanceof Promise), 'SQLite answers at once')
    return { info: found.info, isVersioned: found.isVersioned }
  } catch (error) {
    return (error as { code?: unknown }).code ?? error
  }
}
