/** awscli with its default settings against a server that has `mybucket`. */
import { join } from 'node:path'
import { clientDirectory } from '../../script/clients.ts'
import { type ClientKit, startClients } from './client-kit.ts'

export interface AwsKit {
  kit: ClientKit
  /** What the command printed. */
  aws(...words: string[]): Promise<string>
}

export async function startAws(): Promise<AwsKit> {
  const kit = await startClients(join(clientDirectory('python'), 'bin'))
  const aws = async (...words: string[]) =>
    (await kit.run('aws', ['--endpoint-url', kit.endpoint, ...words])).stdout
  try {
    await aws('s3', 'mb', 's3://mybucket')
  } catch (error) {
    await kit.close()
    throw error
  }
  return { kit, aws }
}
