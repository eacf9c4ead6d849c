/** Group commit of the bare servers, which are references: those who wait share an fdatasync, and the next begins when it ends. */
import fs from 'node:fs'

/** Gives what notes one who waits for the file to be on disk; `served` is called with all whose bytes are. */
export function sharedSync<T>(file: number, served: (those: readonly T[]) => void): (who: T) => void {
  let waiting: T[] = []
  let isSyncing = false
  const sync = () => {
    const those = waiting
    waiting = []
    fs.fdatasync(file, (error) => {
      if (error !== null) throw error
      if (waiting.length > 0) sync()
      else isSyncing = false
      served(those)
    })
  }
  return (who) => {
    waiting.push(who)
    if (isSyncing) return
    isSyncing = true
    setImmediate(sync)
  }
}
