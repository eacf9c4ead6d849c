/** s3fs: a bucket as a folder, where the machine lets folders be mounted. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { ROOT_KEY } from '../support/cairn-process.ts'
import { type ClientKit, digestOf, MIB, makeBucket, noPrograms, startClients } from './client-kit.ts'

const MOUNT_MS_MAX = 20_000
const LOOK_MS = 50

/** No package brings this: where it is missing, the test has nothing to say about the store. */
function canMount(): boolean {
  try {
    accessSync('/dev/fuse', constants.R_OK | constants.W_OK)
    return process.getuid?.() === 0
  } catch {
    return false
  }
}

if (canMount()) {
  describe('s3fs', { skip: noPrograms('s3fs') }, () => {
    let kit: ClientKit
    let unmount: () => Promise<void>
    before(async () => {
      kit = await startClients()
    })
    after(async () => {
      await unmount?.()
      await kit?.close()
    })

    test('files and folders of a mounted bucket, as another mount sees them', async () => {
      const passwords = join(kit.home, 'passwd-s3fs')
      writeFileSync(passwords, `${ROOT_KEY.accessKeyId}:${ROOT_KEY.secretAccessKey}`, { mode: 0o600 })
      await makeBucket(kit, 'mounted')
      const first = await mount(kit, 'first')
      unmount = first.unmount
      const sh = (script: string) => kit.run('sh', ['-euc', script])
      kit.file('large', 25 * MIB)
      await sh(`cd first; mkdir -p a/b; echo one >'a/b/one ü+'; cp ../large large; ln -s large link
        echo two >>'a/b/one ü+'; mv a/b a/c; echo gone >gone; rm gone; chmod 640 large; truncate -s 3 'a/c/one ü+'`)
      await first.unmount()
      const second = await mount(kit, 'second')
      unmount = second.unmount
      const { stdout } = await sh("cd second; cat 'a/c/one ü+'; find . | sort; readlink link")
      assert.equal(stdout, 'one.\n./a\n./a/c\n./a/c/one ü+\n./large\n./link\nlarge\n')
      assert.equal(await digestOf(join(kit.home, 'second/large')), await digestOf(join(kit.home, 'large')))
      assert.equal(statSync(join(kit.home, 'second/large')).mode & 0o777, 0o640)
      await sh('rm -r second/a second/large second/link')
      assert.equal((await sh('ls second')).stdout, '')
    })
  })
}

async function mount(kit: ClientKit, name: string): Promise<{ unmount: () => Promise<void> }> {
  const folder = join(kit.home, name)
  mkdirSync(folder)
  const before = statSync(folder).dev
  const options = `passwd_file=${join(kit.home, 'passwd-s3fs')},url=${kit.endpoint},use_path_request_style`
  const child = spawn('s3fs', ['mounted', folder, '-f', '-o', options], { env: kit.env, stdio: 'ignore' })
  const ended = once(child, 'close')
  const unmount = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    await kit.run('umount', [folder])
    await ended
  }
  for (let waitedMs = 0; waitedMs < MOUNT_MS_MAX && child.exitCode === null; waitedMs += LOOK_MS) {
    if (statSync(folder).dev !== before) return { unmount }
    await setTimeout(LOOK_MS)
  }
  child.kill()
  await ended
  throw new Error(`s3fs does not mount:\n${kit.server.log()}`)
}
