/** Metadata that count how often an object was looked up in them. */
import type { MetaStore, Script } from '../../src/meta/meta-store.ts'

export function counted(meta: MetaStore): { meta: MetaStore; looks(): number } {
  let looks = 0
  const counting = new Proxy(meta, {
    get(target, name: keyof MetaStore) {
      const value = target[name]
      if (name !== 'read') return typeof value === 'function' ? value.bind(target) : value
      return (script: Script<unknown, unknown>, args: unknown) => {
        if (script.name === 'objects.find') looks++
        return target.read(script, args)
      }
    },
  })
  return { meta: counting, looks: () => looks }
}
