/**
 * `npm run long -- photos [COUNT] [SEED] [SCREENSHOT] [PHOTOGRAPH...]`: many photos in, upright and in three sizes out, in a
 * page of a browser. They are cut from the photographs that are named; without any, from drawn ones.
 */
import { existsSync } from 'node:fs'
import { BROWSER, photoRound } from '../support/photo-rounds.ts'

const [count = 500, seed = 1] = process.argv.slice(2, 4).map(Number)
const [screenshot, ...sources] = process.argv.slice(4)
const withBrowser = existsSync(BROWSER)
if (!withBrowser) console.log(`no ${BROWSER}: the page is left out`)
await photoRound({ count, seed, withBrowser, sources, ...(screenshot === undefined ? {} : { screenshot }) })
console.log(`${count} photos are upright in three sizes`)
