/** The volumes of each earlier release open, serve every needle as it was written, and can be written to and compacted. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { checkSeaweedVolume } from '../compat/seaweed-files.ts'
import { SimClock } from '../sim/sim-clock.ts'
import { SimDisk } from '../sim/sim-disk.ts'
import { collect, needleOf } from '../support/needles.ts'
import { type Engine, openEngine } from '../support/sim-engine.ts'
import { type GoldenNeedle, makeGolden } from './make.ts'

const HERE = fileURLToPath(new URL('.', import.meta.url))
/** The version that `make.ts` writes today. */
const PRESENT = 'v1'
const NOW_MS = Date.UTC(2027, 0, 1)
const versions = readdirSync(HERE).filter((name) => /^v\d+$/.test(name))

function load(version: string): { files: Map<string, Buffer>; needles: GoldenNeedle[] } {
  const files = new Map<string, Buffer>()
  for (const name of readdirSync(`${HERE}${version}`)) {
    if (name.endsWith('.gz')) files.set(name.slice(0, -3), gunzipSync(readFileSync(`${HERE}${version}/${name}`)))
  }
  return { files, needles: JSON.parse(readFileSync(`${HERE}${version}/needles.json`, 'utf8')) as GoldenNeedle[] }
}

async function checkNeedle(engine: Engine, golden: GoldenNeedle, what: string): Promise<void> {
  const volume = engine.views[0]!.get(golden.volumeId)
  assert.ok(volume, `${what}: volume ${golden.volumeId}`)
  const found = await volume.read(golden)
  if (golden.expected === undefined) return assert.equal(found, undefined, `${what}: ${golden.note}`)
  assert.ok(found, `${what}: ${golden.note}`)
  const { data, ...rest } = await collect(found)
  const text = (latin1: string | undefined) => (latin1 === undefined ? null : Buffer.from(latin1, 'latin1').toString('utf8'))
  assert.deepEqual(
    {
      sha256: createHash('sha256').update(data).digest('hex'),
      lengthBytes: data.length,
      checksum: rest.checksum,
      gzipped: rest.gzipped,
      manifest: rest.manifest,
      name: text(rest.name),
      mime: text(rest.mime),
      lastModifiedS: rest.lastModifiedS ?? null,
      ttl: rest.ttl,
      pairs: text(rest.pairs),
    },
    golden.expected,
    `${what}: ${golden.note}`,
  )
}

for (const version of versions) {
  const { files, needles } = load(version)
  for (const lost of [[], ['.idx', '.sums'], ['.cairn']]) {
    test(`volumes of ${version} open${lost.length > 0 ? ` without ${lost.join(' and ')}` : ''}`, async () => {
      const disk = new SimDisk(1)
      disk.putDirectory('/golden')
      for (const [name, bytes] of files) {
        if (!lost.some((extension) => name.endsWith(extension))) disk.putFile(`/golden/${name}`, bytes)
      }
      const engine = await openEngine(disk, { directories: ['/golden'], views: 1, clock: new SimClock(NOW_MS), seed: 2 })
      for (const golden of needles) await checkNeedle(engine, golden, 'opened')
      for (const volume of engine.views[0]!.list()) await volume.write(needleOf(99, 1, 1234))
      for (const { id } of (await engine.admin.status()).volumes) await engine.admin.compactVolume(id, 0)
      for (const golden of needles) await checkNeedle(engine, golden, 'compacted')
      await engine.stop()
      for (const name of disk.list('/golden').filter((each) => each.endsWith('.dat'))) {
        const idx = disk.contents(`/golden/${name.replace(/dat$/, 'idx')}`)
        checkSeaweedVolume(disk.contents(`/golden/${name}`), idx, name)
      }
    })
  }
}

test(`the format is still that of ${PRESENT}, byte for byte`, async () => {
  const made = await makeGolden()
  const { files, needles } = load(PRESENT)
  assert.deepEqual([...made.files.keys()].sort(), [...files.keys()].sort())
  for (const [name, bytes] of made.files) assert.ok(bytes.equals(files.get(name)!), `${name} changed: a new version is due`)
  assert.deepEqual(JSON.parse(JSON.stringify(made.needles)), needles)
})
