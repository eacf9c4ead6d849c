/** `scrub.json`: how far the scrub is, as a line of JSON and a line with its CRC32C. Lost, it costs one cycle's reading. */
import { crc32c } from '../base/checksum.ts'
import { type Disk, readFileWhole } from './disk.ts'
import type { ScrubPosition } from './scrub-volume.ts'

const NAME = 'scrub.json'
const FORMAT_VERSION = 1

export interface ScrubState {
  /** Milliseconds since 1970; 0 before the first cycle. */
  cycleStartMs: number
  cycleDone: boolean
  /** Volumes below this one are done. */
  volumeId: number
  /** How far it is in that volume. */
  position: ScrubPosition | undefined
}

/** Undefined when there is none, or none that can be read. */
export function loadScrubState(disk: Disk, directory: string): ScrubState | undefined {
  try {
    const [line, checksum] = (readFileWhole(disk, `${directory}/${NAME}`)?.toString('utf8') ?? '').split('\n')
    if (line === undefined || checksum !== checksumOf(line)) return undefined
    const { format, ...state } = JSON.parse(line) as ScrubState & { format: number }
    return format === FORMAT_VERSION ? { ...state, position: state.position ?? undefined } : undefined
  } catch {
    return undefined
  }
}

/**
 * Replaces the file without blocking the thread for a sync. The directory is not synced: should a power loss bring back
 * the old file, some records are read twice.
 */
export async function saveScrubState(disk: Disk, directory: string, state: ScrubState): Promise<void> {
  const line = JSON.stringify({ format: FORMAT_VERSION, ...state })
  const content = Buffer.from(`${line}\n${checksumOf(line)}\n`)
  const path = `${directory}/${NAME}`
  const handle = disk.open(`${path}.tmp`, 'w+')
  try {
    await disk.write(handle, content, 0, content.length, 0)
    await disk.fdatasync(handle)
  } finally {
    disk.close(handle)
  }
  disk.renameSync(`${path}.tmp`, path)
}

function checksumOf(line: string): string {
  return crc32c(Buffer.from(line)).toString(16).padStart(8, '0')
}
