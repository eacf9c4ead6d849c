/** Damage below a running server: what the scrub finds is in the log once, and what reads meet, by whichever door. */
import assert from 'node:assert/strict'
import { globSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { readSeaweedVolume } from '../compat/seaweed-files.ts'
import { startServer } from '../support/cairn-process.ts'
import { temporaryDirectory } from '../support/real-store.ts'

const WAIT_MS_MAX = 30_000

async function scrubCount(volume: string, what: string): Promise<number> {
  const page = await (await fetch(`http://${volume}/metrics`)).text()
  return Number(new RegExp(`^cairn_scrub_${what}_total (\\d+)$`, 'm').exec(page)?.[1])
}

async function untilCount(volume: string, what: string, least: number): Promise<void> {
  const endMs = systemClock.monotonicMs() + WAIT_MS_MAX
  while ((await scrubCount(volume, what)) < least) {
    assert.ok(systemClock.monotonicMs() < endMs, `${least} ${what}`)
    await systemClock.sleep(100)
  }
}

test('what the scrub finds', async (t) => {
  const { path, remove } = temporaryDirectory()
  t.after(remove)
  const server = await startServer(path, ['--scrub-period', '0s', '--scrub-rate', '1GiB'])
  t.after(() => server.kill())
  const body = new FormData()
  body.append('file', new Blob(['x'.repeat(3000)]), 'x.bin')
  const stored = await fetch(`http://${server.master}/submit`, { method: 'POST', body })
  assert.equal(stored.status, 201)
  const { fid } = (await stored.json()) as { fid: string }
  await untilCount(server.volume, 'records', 1)
  assert.equal(await scrubCount(server.volume, 'damaged'), 0)
  const dat = join(path, `${fid.split(',')[0]}.dat`)
  const bytes = readFileSync(dat)
  bytes[readSeaweedVolume(bytes, undefined).records[0]!.offset + 1000]! ^= 4
  writeFileSync(dat, bytes, { flag: 'r+' })
  await untilCount(server.volume, 'damaged', 1)
  const cycles = await scrubCount(server.volume, 'cycles')
  await untilCount(server.volume, 'cycles', cycles + 2)
  assert.equal(await scrubCount(server.volume, 'damaged'), 1)
  const lines = server
    .log()
    .split('\n')
    .filter((line) => line.includes('the scrub found damage'))
  assert.equal(lines.length, 1)
  assert.match(lines[0]!, /"live":true/)
  await server.stop()
  assert.ok(readdirSync(path).includes('scrub.json'))
})

test('what reads meet, by id and by name, small and large', async (t) => {
  const { path, remove } = temporaryDirectory()
  t.after(remove)
  const server = await startServer(path, ['--scrub-rate', '0', '--no-gzip', '--no-journal'])
  t.after(() => server.kill())
  const files = [
    { url: `http://${server.volume}/${await assignedFid(server.master)}`, content: 'by id '.repeat(500) },
    { url: `http://${server.filer}/small`, content: 'by name '.repeat(2_000) },
    { url: `http://${server.filer}/large`, content: 'in pieces '.repeat(200_000) },
  ]
  for (const { url, content } of files) {
    const stored = await fetch(url, { method: 'PUT', body: content })
    assert.equal(stored.status, 201, url)
  }
  for (const dat of globSync(join(path, '*.dat'))) {
    const bytes = readFileSync(dat)
    for (const { content } of files) {
      const at = bytes.indexOf(content.slice(0, 1_000))
      if (at >= 0) bytes[at + 500]! ^= 4
    }
    writeFileSync(dat, bytes, { flag: 'r+' })
  }
  for (const { url } of files) assert.equal(await isServed(url), false, url)
  const endMs = systemClock.monotonicMs() + WAIT_MS_MAX
  const lines = () =>
    server
      .log()
      .split('\n')
      .filter((line) => line.includes('"a read met a damaged record"'))
  while (lines().length < files.length) {
    assert.ok(systemClock.monotonicMs() < endMs, server.log())
    await systemClock.sleep(20)
  }
  for (const line of lines())
    assert.match(line, /"volume":\d+,"fid":"\d+,[0-9a-f]+","offset":\d+,"reason":"damaged record/)
  await server.stop()
})

async function assignedFid(master: string): Promise<string> {
  const reply = await fetch(`http://${master}/dir/assign`)
  return ((await reply.json()) as { fid: string }).fid
}

/** Whether all of a file comes; of a large one some may have left before the damage is met. */
async function isServed(url: string): Promise<boolean> {
  const reply = await fetch(url)
  return await reply.arrayBuffer().then(
    () => reply.ok,
    () => false,
  )
}
