/** The short form of `npm run long -- photos`. */
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { BROWSER, photoRound } from '../support/photo-rounds.ts'

test(
  'a folder of photos comes out upright in three sizes, and in a page of thumbnails',
  {
    skip: existsSync(BROWSER) ? false : `no ${BROWSER}`,
  },
  () => photoRound({ count: 40, seed: 1, withBrowser: true }),
)
