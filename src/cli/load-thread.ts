/** Entry of a thread of `cairn benchmark`: runs each load it is sent, and answers with the result. */
import { parentPort } from 'node:worker_threads'
import { systemClock } from '../base/clock.ts'
import { type ErrorCode, toStoreError } from '../base/errors.ts'
import { runLoad } from '../bench/load.ts'
import type { LoadResult, LoadSpec } from '../bench/load-state.ts'

export type LoadAnswer = { result: LoadResult } | { error: { code: ErrorCode; message: string } }

async function answer(spec: LoadSpec): Promise<LoadAnswer> {
  try {
    return { result: await runLoad(spec, systemClock) }
  } catch (error) {
    const { code, message } = toStoreError(error)
    return { error: { code, message } }
  }
}

// Null on the main thread, where this file is only read for its types.
parentPort?.on('message', (spec: LoadSpec) => {
  void answer(spec).then((result) => parentPort?.postMessage(result))
})
