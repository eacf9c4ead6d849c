/** The directory tree: names of files with their size and time, as clients tell them. Nothing of the files themselves. */
import { LIST_KEYS_MAX } from '../../base/limits.ts'
import type { ObjectStore } from '../../objects/object-store.ts'
import { OwnBucket } from './own-bucket.ts'
import { checkedText, isPathText, textOfPath } from './paths.ts'
import { isTime, type Page, type TreeEntry } from './wire.ts'

const TREE_BUCKET = 'hashstore-tree'
const SEPARATOR = '/'

export class HashstoreTree {
  readonly #objects: ObjectStore
  readonly #bucket: OwnBucket

  constructor({ objects, owner }: { objects: ObjectStore; owner: string }) {
    this.#objects = objects
    this.#bucket = new OwnBucket({ objects, name: TREE_BUCKET, owner })
  }

  /** Notes a name, unless it is known with a later time. Throws `bad_request`, `key_too_long`. */
  async enter(path: Buffer, { size, timeMs }: { size: number; timeMs: number }): Promise<void> {
    await this.#bucket.note(keyOf(textOfPath(path)), (present) => {
      if (present !== undefined && factsOf(present.userMetadata).time > timeMs) return undefined
      return {
        userMetadata: [
          ['size', String(size)],
          ['time', String(timeMs)],
        ],
      }
    })
  }

  /** Forgets a name, if it is known. */
  async leave(path: Buffer): Promise<void> {
    const bucket = await this.#bucket.find()
    if (bucket !== undefined) await this.#objects.delete({ bucket, key: keyOf(textOfPath(path)) })
  }

  /** What begins with a prefix, up to the next separator, `/` or `\`; or all of it. */
  async browse(prefix: Buffer, { after = '', all = false }): Promise<Page<TreeEntry>> {
    const bucket = await this.#bucket.find()
    if (bucket === undefined) return { entries: [] }
    const { objects, prefixes, next } = await this.#objects.list({
      bucket,
      prefix: keyText(textOfPath(prefix)),
      ...(all ? {} : { delimiter: SEPARATOR }),
      after,
      limit: LIST_KEYS_MAX,
    })
    // Keys that came through another door may be none of a path.
    const entries: TreeEntry[] = [
      ...prefixes.filter(isKey).map((key) => ({ directory: textOfKey(key) })),
      ...objects
        .filter(({ key }) => isKey(key))
        .map(({ key, attributes }) => ({ path: textOfKey(key), ...factsOf(attributes.userMetadata) })),
    ]
    return next === undefined ? { entries } : { entries, next }
  }
}

function factsOf(metadata: readonly (readonly [string, string])[] = []): { size: number; time: number } {
  const facts = new Map(metadata)
  const [size, time] = [Number(facts.get('size')), Number(facts.get('time'))]
  return { size: Number.isSafeInteger(size) ? size : 0, time: isTime(time) ? time : 0 }
}

/** Both separators end with a slash, so that one delimiter finds them. */
const keyText = (text: string) => text.replaceAll('\\', '\\/')
const keyOf = (text: string) => checkedText(keyText(text))
const textOfKey = (key: string) => key.replaceAll('\\/', '\\')
const isKey = (key: string) => isPathText(textOfKey(key)) && keyText(textOfKey(key)) === key
