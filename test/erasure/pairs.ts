/** Pairs of six servers, killed under load and started again; of the last pair, one comes back without its data. */
import assert from 'node:assert/strict'
import { systemClock } from '../../src/base/clock.ts'
import type { Random } from '../../src/base/random.ts'
import { SixServers } from './six-servers.ts'

/** How long two are down. */
const DOWN_MS = 3_000
const LOAD_MS = 1_500
/** The one without its data may be back so much before the other, and be given the other's shard. */
const AHEAD_MS_MAX = 2_000

export const ALL_PAIRS: [number, number][] = [0, 1, 2, 3, 4, 5].flatMap((a) =>
  [0, 1, 2, 3, 4, 5].filter((b) => b > a).map((b): [number, number] => [a, b]),
)

export async function killPairs(
  random: Random,
  pairs: readonly [number, number][],
  tell: (line: string) => void = () => undefined,
  options: { files?: boolean } = {},
): Promise<void> {
  const six = await SixServers.start(random, options)
  try {
    for (let i = 0; i < 60; i++) assert.ok(await six.write())
    await six.untilWhole()
    for (const pair of pairs) {
      six.startLoad()
      await systemClock.sleep(LOAD_MS)
      await six.kill(pair)
      await systemClock.sleep(DOWN_MS)
      if (pair === pairs.at(-1)) {
        six.empty(pair[0])
        await six.startAgain([pair[0]])
        await systemClock.sleep(random.below(AHEAD_MS_MAX))
        await six.startAgain([pair[1]])
      } else await six.startAgain(pair)
      await systemClock.sleep(LOAD_MS)
      await six.stopLoad()
      const { ms } = await six.untilWhole()
      const { acknowledged, failedReads, failedWrites, reads } = six
      assert.deepEqual(failedReads, [], `reads while ${pair.join(' and ')} were away`)
      tell(
        `${pair.join(' and ')}: whole after ${Math.round(ms)} ms; ${reads} reads, ${acknowledged.size} objects, ${failedWrites} writes refused`,
      )
    }
    await six.readAll()
    assert.deepEqual(six.failedReads, [])
    await six.checkVolumes()
  } finally {
    await six.close()
  }
}
