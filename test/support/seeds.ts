/** Seeds of the random tests: each run prints its seed, and `CAIRN_SEED=<number>` or a number as argument replays it. */
import { type Random, seededRandom, systemRandom } from '../../src/base/random.ts'

/** A generator for a seed; neighbouring seeds give unrelated runs. */
export function randomOf(seed: number): Random {
  let mixed = (seed + 0x9e3779b9) >>> 0
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad)
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
  return seededRandom((mixed ^ (mixed >>> 15)) >>> 0)
}

/**
 * The seeds that a random test runs: the one asked for by `CAIRN_SEED` or as the last argument,
 * else `fixed` of them that are the same each time and one new one.
 */
export function seedsToRun(fixed: number): number[] {
  const asked = process.env.CAIRN_SEED ?? process.argv.slice(2).find((argument) => /^\d+$/.test(argument))
  if (asked !== undefined) return [Number(asked)]
  return [...Array.from({ length: fixed }, (_, i) => i + 1), systemRandom.u32()]
}

/** Runs `body`, and names the seed that replays it when it fails. */
export async function withSeed(seed: number, body: (random: Random) => void | Promise<void>): Promise<void> {
  try {
    await body(randomOf(seed))
  } catch (error) {
    throw new Error(`failed with seed ${seed} (replay with CAIRN_SEED=${seed}): ${String(error)}`, {
      cause: error,
    })
  }
}
