/** A file that people change while servers run. */
import { statSync } from 'node:fs'
import type { Clock } from '../../base/clock.ts'
import { IDENTITIES_LOOK_MS } from '../../base/limits.ts'

/** Calls when the file was written or replaced. Gives what ends it. */
export function watchFile(path: string, clock: Clock, onChange: () => void): () => void {
  let seen = markOf(path)
  return clock.every(IDENTITIES_LOOK_MS, () => {
    const mark = markOf(path)
    if (mark === seen) return
    seen = mark
    onChange()
  })
}

/** Differs when the file was written or replaced. */
function markOf(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false })
  return stat === undefined ? '' : `${stat.ino} ${stat.size} ${stat.mtimeMs}`
}
