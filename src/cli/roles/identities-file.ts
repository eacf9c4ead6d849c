/** The file of accounts: read at the start, and again whenever it changes, so that keys come and go without a restart. */
import { Identities, type IdentitiesFile } from '../../iam/identities.ts'
import type { Context } from '../command.ts'
import { UsageError } from '../usage-error.ts'
import { readNamed } from './doors.ts'
import type { AccessKey } from './root-credentials.ts'
import { watchFile } from './watched-file.ts'

/** Undefined without one. Throws `UsageError` for a file that cannot be read, or says something impossible. */
export function readIdentities(path: string, root: AccessKey): IdentitiesFile | undefined {
  if (path === '') return undefined
  const file = { path, text: readNamed('--identities', path) }
  try {
    new Identities(root, file)
  } catch (error) {
    throw new UsageError(`--identities: ${(error as Error).message}`)
  }
  return file
}

/**
 * Tells of each change of the file that can be used; of one with a mistake in it the log tells, and the accounts stay as they
 * were. Gives what ends it.
 */
export function watchIdentities(
  { path }: IdentitiesFile,
  root: AccessKey,
  { context, onChange }: { context: Context; onChange: (file: IdentitiesFile) => Promise<unknown> },
): () => void {
  const { clock, log } = context
  return watchFile(path, clock, () => {
    try {
      const file = readIdentities(path, root)!
      onChange(file).then(
        () => log.info({ path }, 'accounts were read again'),
        (error: unknown) => log.error({ error, path }, 'accounts could not be changed'),
      )
    } catch (error) {
      log.error({ path, reason: (error as Error).message }, 'accounts stay as they were')
    }
  })
}
