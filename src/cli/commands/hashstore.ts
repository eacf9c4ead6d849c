/**
 * `cairn hashstore`: hash-placed data servers, and what their clients do. Each action is a file in `hashstore-actions/` and a line
 * in the table here.
 */
import { type Command, defineCommand } from '../command.ts'
import { get } from '../hashstore-actions/get.ts'
import { ls } from '../hashstore-actions/ls.ts'
import { nameserver } from '../hashstore-actions/nameserver.ts'
import { put } from '../hashstore-actions/put.ts'
import { rebalance } from '../hashstore-actions/rebalance.ts'
import { rm } from '../hashstore-actions/rm.ts'
import { serve } from '../hashstore-actions/serve.ts'
import { UsageError } from '../usage-error.ts'

const actions: readonly Command<never>[] = [serve, nameserver, put, get, ls, rm, rebalance]

export const hashstore = defineCommand({
  name: 'hashstore',
  summary: 'Data servers that clients choose by the hash of a path, and commands for them',
  settings: [],
  actions,
  async run() {
    throw new UsageError(`cairn hashstore ${actions.map(({ name }) => name).join('|')}`)
  },
})
