/** Work on many files, which the first signal ends: no file is begun any more, and no server waited for where that may last. */
import { StoreError, toStoreError } from '../base/errors.ts'
import type { Context } from './command.ts'

/** What was under way when the signal came. */
export class Interrupted extends StoreError {
  constructor() {
    super('unavailable', 'interrupted')
    this.name = 'Interrupted'
  }
}

/** The result, or `Interrupted` as soon as `signal` aborts; the work itself goes on, and nobody hears of its end. */
export async function unlessStopped<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return await new Promise<T>((resolve, reject) => {
    const stop = () => reject(new Interrupted())
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
    const forget = () => signal.removeEventListener('abort', stop)
    work.finally(forget).then(resolve, reject)
  })
}

/** The same items, until `signal` aborts: then it throws `Interrupted`, also while the next one has not come. */
export async function* untilStopped<T>(items: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = items[Symbol.asyncIterator]()
  // One listener for all: pieces of a file are many.
  let stop = () => {}
  const onAbort = () => stop()
  signal.addEventListener('abort', onAbort)
  try {
    for (;;) {
      const { value, done } = await new Promise<IteratorResult<T>>((resolve, reject) => {
        stop = () => reject(new Interrupted())
        if (signal.aborted) stop()
        iterator.next().then(resolve, reject)
      })
      if (done === true) return
      yield value
    }
  } finally {
    signal.removeEventListener('abort', onAbort)
    // Where the next one has not come, this waits for it.
    iterator.return?.().catch(() => undefined)
  }
}

/**
 * Does `work` on each file, `parallel` of them at a time; those that fail are told, and the others go on. Resolves to the exit code:
 * 0 where all are done. `done` is what has become of a file then.
 */
export async function eachFile<T extends { path: string }>(
  files: readonly T[],
  { parallel, done, context }: { parallel: number; done: string; context: Context },
  work: (file: T) => Promise<void>,
): Promise<number> {
  const { stderr, signal } = context
  let [next, doneCount] = [0, 0]
  const lane = async () => {
    while (next < files.length && !signal.aborted) {
      const file = files[next++]!
      try {
        await work(file)
        doneCount++
      } catch (error) {
        if (!(error instanceof Interrupted))
          stderr.write(`cairn: ${file.path}: ${toStoreError(error).message}\n`)
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(parallel, files.length) }, lane))
  if (doneCount === files.length) return 0
  if (signal.aborted) stderr.write(`cairn: interrupted: ${doneCount} of ${files.length} files are ${done}\n`)
  return 1
}
