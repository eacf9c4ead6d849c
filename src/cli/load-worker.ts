/** A thread of `cairn benchmark`, as its owner sees it. */
import { Worker } from 'node:worker_threads'
import { StoreError } from '../base/errors.ts'
import type { LoadResult, LoadSpec } from '../bench/load-state.ts'
import type { LoadThread } from '../bench/volume-benchmark.ts'
import type { LoadAnswer } from './load-thread.ts'

export class LoadWorker implements LoadThread {
  readonly #worker = new Worker(new URL('./load-thread.ts', import.meta.url))

  run(spec: LoadSpec): Promise<LoadResult> {
    return new Promise((resolve, reject) => {
      this.#worker.once('error', reject)
      this.#worker.once('message', (answer: LoadAnswer) => {
        this.#worker.off('error', reject)
        if ('result' in answer) resolve(answer.result)
        else reject(new StoreError(answer.error.code, answer.error.message))
      })
      this.#worker.postMessage(spec)
    })
  }

  async close(): Promise<void> {
    await this.#worker.terminate()
  }
}
