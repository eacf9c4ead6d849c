/** Measures sfss: stores files, then reads random ones of them and compares what comes. */
import type { Clock } from '../base/clock.ts'
import { StoreError, toStoreError } from '../base/errors.ts'
import { Histogram } from '../base/histogram.ts'
import type { Random } from '../base/random.ts'
import type { SfssClient } from '../client/sfss-client.ts'
import type { PhaseFigures } from './report.ts'

export interface SfssBenchmarkOptions {
  client: SfssClient
  /** Of every file. */
  content: Buffer
  /** The files lie below it, under numbers. */
  path: string
  /** Files to write, and reads. */
  requests: number
  concurrency: number
  clock: Clock
  random: Random
  signal: AbortSignal
}

export class SfssBenchmark {
  readonly #options: SfssBenchmarkOptions

  constructor(options: SfssBenchmarkOptions) {
    this.#options = options
  }

  write(): Promise<PhaseFigures> {
    const { client, content } = this.#options
    return this.#run('Writing Benchmark', (at) => client.post(this.#pathOf(at), content))
  }

  read(): Promise<PhaseFigures> {
    const { client, content, random, requests } = this.#options
    return this.#run('Randomly Reading Benchmark', async () => {
      const bytes = await client.get(this.#pathOf(random.below(requests)), content.length + 1)
      if (!bytes.equals(content)) throw new StoreError('corrupt', 'other bytes than were stored')
    })
  }

  #pathOf(at: number): string {
    return `${this.#options.path}/${at}`
  }

  async #run(title: string, request: (at: number) => Promise<void>): Promise<PhaseFigures> {
    const { clock, concurrency, requests, signal, content } = this.#options
    const times = new Histogram()
    const failures: Record<string, number> = {}
    let [next, failed] = [0, 0]
    const lane = async () => {
      while (next < requests && !signal.aborted) {
        const startMs = clock.monotonicMs()
        try {
          await request(next++)
          times.add((clock.monotonicMs() - startMs) * 1_000)
        } catch (error) {
          const { message } = toStoreError(error)
          failures[message] = (failures[message] ?? 0) + 1
          failed++
        }
      }
    }
    const startMs = clock.monotonicMs()
    await Promise.all(Array.from({ length: concurrency }, lane))
    const elapsedMs = clock.monotonicMs() - startMs
    const completed = times.count
    const contentBytes = completed * content.length
    return { title, concurrency, elapsedMs, completed, failed, deleted: 0, contentBytes, times, failures }
  }
}
