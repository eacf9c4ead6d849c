/** `cairn volume readonly` and `writable`: closes volumes of a running store for writes, and opens them again. */
import { eachVolume, ONLINE_SETTINGS, volumeIds, withCluster } from '../cluster-admin.ts'
import { defineCommand } from '../command.ts'

export const readonly = defineReadOnly(
  'readonly',
  'Close volumes of a running store for writes and deletes, until they are made writable',
)
export const writable = defineReadOnly(
  'writable',
  'Let volumes of a running store take writes again; also one whose move was cut off and is given up',
)

function defineReadOnly(name: 'readonly' | 'writable', summary: string) {
  return defineCommand({
    name,
    summary,
    usage: '<volume...>',
    settings: [...ONLINE_SETTINGS, 'node'],
    async run(config, context) {
      const ids = volumeIds(context.args)
      return await withCluster(config, context, (admin) =>
        eachVolume(ids, { config, context }, async (id) => {
          const result = await admin.setReadOnly({ id, node: config.node }, name === 'readonly')
          const state = name === 'readonly' ? 'read only' : 'writable'
          return { line: `volume ${id} on ${result.node}: ${state}`, result: { ...result, state } }
        }),
      )
    },
  })
}
