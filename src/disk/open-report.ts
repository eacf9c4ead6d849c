/** What the opening of a volume tells of it. */

/** What opening found and did. */
export interface OpenReport {
  /** Written by SeaweedFS, opened by Cairn for the first time. */
  foreign: boolean
  /** No sidecar to rely on: all of `.dat` was read. */
  fullScan: boolean
  recordsScanned: number
  recordsRecovered: number
  /** Records that are in the index though damaged: reads of them say so. */
  recordsDamaged: number
  indexBlocksRebuilt: number
  bytesTruncated: number
  holesFilled: number
  /** A sync failed before, or there is a doubt: the volume is read only until a compaction has written it anew. */
  suspect: boolean
  /** What of the files is not understood, and was left as it is. */
  doubt?: string
}

export function newReport(): OpenReport {
  return {
    foreign: false,
    fullScan: false,
    recordsScanned: 0,
    recordsRecovered: 0,
    recordsDamaged: 0,
    indexBlocksRebuilt: 0,
    bytesTruncated: 0,
    holesFilled: 0,
    suspect: false,
  }
}
