/** One of six disks runs full: objects are stored in the other five, and its shards come when it has room again. */
import assert from 'node:assert/strict'
import { rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Random } from '../../src/base/random.ts'
import { OneServer } from './one-server.ts'

/** `path`: where a small disk is mounted. */
export async function fullDisk(random: Random, path: string): Promise<void> {
  const server = new OneServer(random, [], [undefined, undefined, path])
  try {
    await server.start()
    await server.fill(20)
    await server.untilWhole()
    const ballast = join(path, 'in-the-way')
    const { free } = await spaceOf(server, path)
    writeFileSync(ballast, Buffer.alloc(Math.max(0, free - 300_000)))
    assert.ok(statSync(ballast).size > 0)
    await server.until('the disk is full', async () =>
      (await server.overview()).volumes.some(({ state }) => state === 'disk full'),
    )
    for (let i = 0; i < 40; i++) await server.until('a put', () => server.put(20_000))
    await server.checkAll()
    rmSync(ballast)
    await server.untilWhole()
    await server.checkVolumes()
  } finally {
    await server.close()
  }
}

async function spaceOf(server: OneServer, path: string): Promise<{ free: number }> {
  const reply = await fetch(`http://${server.process.volume}/`, { headers: { accept: 'application/json' } })
  const { directories } = (await reply.json()) as { directories: { path: string; freeBytes: number }[] }
  return { free: directories.find((each) => each.path === path)!.freeBytes }
}
