/** Request parameters, from query or form, checked: every bad value is an error that names the parameter. */
import { StoreError } from '../../base/errors.ts'
import { ASSIGN_COUNT_MAX, COLLECTION_BYTES_MAX, VOLUMES_PER_SERVER_MAX } from '../../base/limits.ts'
import { formatReplication, parseReplication } from '../../base/replication.ts'
import { parseTtl } from '../../base/ttl.ts'
import type { AssignRequest } from './assign.ts'
import type { Layout, Place } from './topology.ts'

/** A form's value goes before the query's of the same name; the first of several counts. */
export class Params {
  readonly #sources: URLSearchParams[]

  constructor(...sources: URLSearchParams[]) {
    this.#sources = sources
  }

  /** '' when it is not given. */
  text(name: string): string {
    for (const source of this.#sources) {
      const value = source.get(name)
      if (value !== null) return value
    }
    return ''
  }

  has(name: string): boolean {
    return this.text(name) !== ''
  }

  /** A whole number; `fallback` when it is not given. Throws `bad_request`. */
  number(name: string, range: { min: number; max: number; fallback: number }): number {
    const text = this.text(name)
    if (text === '') return range.fallback
    const value = /^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN
    if (!(value >= range.min && value <= range.max)) {
      throw new StoreError(
        'bad_request',
        `${name} must be a whole number from ${range.min} to ${range.max}, not ${text.slice(0, 64)}`,
      )
    }
    return value
  }
}

/**
 * Layout and place of an assign or growth. Throws `unsupported` where the answer is 406: replication and TTL that are
 * malformed or not offered; `bad_request` for the rest.
 */
export function layoutAndPlace(
  params: Params,
  defaults: { replication: string },
): { layout: Layout; place: Place } {
  const replicaPlacement = notAcceptable(() =>
    parseReplication(params.text('replication') || defaults.replication),
  )
  if (replicaPlacement !== 0) {
    const asked = formatReplication(replicaPlacement)
    throw new StoreError(
      'unsupported',
      `replication ${asked} comes in a later version: this one keeps one copy, 000`,
    )
  }
  const ttl = notAcceptable(() => parseTtl(params.text('ttl')))
  for (const name of ['preallocate', 'memoryMapMaxSizeMb']) {
    notAcceptable(() => params.number(name, { min: 0, max: Number.MAX_SAFE_INTEGER, fallback: 0 }))
  }
  const collection = params.text('collection')
  checkCollection(collection)
  return {
    layout: { collection, replicaPlacement, ttl },
    place: {
      dataCenter: params.text('dataCenter'),
      rack: params.text('rack'),
      dataNode: params.text('dataNode'),
    },
  }
}

export function assignRequest(params: Params, defaults: { replication: string }): AssignRequest {
  const count = params.number('count', { min: 1, max: ASSIGN_COUNT_MAX, fallback: 1 })
  params.number('dataSize', { min: 0, max: Number.MAX_SAFE_INTEGER, fallback: 0 })
  const growCount = params.number('writableVolumeCount', { min: 0, max: VOLUMES_PER_SERVER_MAX, fallback: 0 })
  return { count, growCount, redundancy: 'none', ...layoutAndPlace(params, defaults) }
}

/** A collection's name becomes part of file names: what could leave the directory, or not be a name, is refused: `bad_request`. */
export function checkCollection(collection: string): void {
  if (Buffer.byteLength(collection) > COLLECTION_BYTES_MAX) {
    throw new StoreError('bad_request', `the collection's name is over ${COLLECTION_BYTES_MAX} bytes`)
  }
  if (/[/\\\p{Cc}\p{Cs}\ufffd]/u.test(collection) || collection.startsWith('.')) {
    throw new StoreError('bad_request', 'the collection has a character that file names may not have')
  }
}

/** Share of garbage from 0 to 1. Throws `unsupported` (406). */
export function garbageThreshold(params: Params, fallback: number): number {
  const text = params.text('garbageThreshold')
  if (text === '') return fallback
  const value = /^[0-9]*\.?[0-9]+$|^[0-9]+\.$/.test(text) ? Number(text) : Number.NaN
  if (value >= 0 && value <= 1) return value
  const what = Number.isNaN(value) ? 'a valid float number' : 'from 0 to 1'
  throw new StoreError('unsupported', `garbageThreshold ${text.slice(0, 64)} is not ${what}`)
}

/** How many volumes to grow. Throws `unsupported` (406). */
export function growCount(params: Params): number {
  const text = params.text('count')
  const value = /^[0-9]{1,9}$/.test(text) ? Number(text) : 0
  if (value > 0) return value
  throw new StoreError('unsupported', `can not parse parameter count ${text.slice(0, 64)}`)
}

function notAcceptable<T>(parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    throw new StoreError('unsupported', error.message, { cause: error })
  }
}
