/** A process that takes keys and volume ids from a master's state and tells each, until it is killed. */
import { writeSync } from 'node:fs'
import { systemRandom } from '../../src/base/random.ts'
import { KeySequence } from '../../src/blobs/master/key-sequence.ts'
import { FileMasterState } from '../../src/blobs/master-state.ts'
import { realDisk } from '../../src/disk/real-disk.ts'

const state = FileMasterState.open({ disk: realDisk, directory: process.argv[2]!, random: systemRandom })
const keys = new KeySequence(state, 3)
for (;;) {
  writeSync(1, `key ${await keys.take(1)}\n`)
  writeSync(1, `volume ${await state.allocateVolumeId(0)}\n`)
}
