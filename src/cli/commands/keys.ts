/** `cairn keys`: the encryption keys of an installation. */
import { defineCommand } from '../command.ts'
import { readNamed } from '../roles/doors.ts'
import { addKey, keyFilePath, readKeys } from '../roles/encryption-keys.ts'
import { formatTable } from '../text-table.ts'

const SETTINGS = ['data', 'encryptionKeys'] as const

const rotate = defineCommand({
  name: 'rotate',
  summary:
    'Add an encryption key, which new objects use from a minute later; running servers read it by themselves',
  settings: SETTINGS,
  async run(config, { clock, random, stdout }) {
    const path = pathOf(config)
    const keys = addKey(path, { clock, random })
    stdout.write(`${path} has ${keys.length} keys now; the new one is ${keys.at(-1)!.id}\n`)
    return 0
  },
})

export const keys = defineCommand({
  name: 'keys',
  summary: 'List the encryption keys of an installation, without their secrets',
  settings: SETTINGS,
  actions: [rotate],
  async run(config, { stdout }) {
    const path = pathOf(config)
    const found = readKeys({ path, text: readNamed('--encryption-keys', path) })
    stdout.write(
      formatTable(
        [
          { title: 'KEY', text: ({ id }) => id },
          { title: 'MADE', text: ({ createdMs }) => new Date(createdMs).toISOString() },
        ],
        found,
      ),
    )
    return 0
  },
})

const pathOf = (config: { data: readonly string[]; encryptionKeys: string }) =>
  keyFilePath({ given: config.encryptionKeys, directory: config.data[0]! })
