/** Names of a volume's files. */

/** `3` or `pics_3`, as SeaweedFS names them. */
export function volumeBaseName(collection: string, volumeId: number): string {
  return collection === '' ? String(volumeId) : `${collection}_${volumeId}`
}

/** Collection and id of a `.dat` file's name, or undefined when it is none. */
export function parseDatName(name: string): { collection: string; volumeId: number } | undefined {
  const match = /^(?:(.+)_)?([0-9]{1,10})\.dat$/.exec(name)
  if (match === null) return undefined
  const volumeId = Number(match[2])
  if (volumeId > 0xffffffff || String(volumeId) !== match[2]) return undefined
  return { collection: match[1] ?? '', volumeId }
}

/** What a volume consists of. `sums` is the sidecar of `.idx`; the `compacted*` are being made by a compaction. */
export const EXTENSION = {
  dat: '.dat',
  idx: '.idx',
  sums: '.sums',
  cairn: '.cairn',
  compactedDat: '.cpd',
  compactedIdx: '.cpx',
  compactedSums: '.cps',
} as const

/** Beside a volume that came from elsewhere and is not verified yet. */
export const ADOPTION_MARKER = '.adopting'
