/** Terraform with its state in a bucket and its lock file beside it. Its program comes from no package: the test is there where it is. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { hasProgram } from '../../script/packages.ts'
import { SignerV4 } from '../../src/iam/sign.ts'
import { ROOT_KEY } from '../support/cairn-process.ts'
import { type ClientKit, makeBucket, startClients } from './client-kit.ts'

const LOCK = '/states/live/state.json.tflock'

if (hasProgram('terraform')) {
  describe('Terraform', () => {
    let kit: ClientKit
    before(async () => {
      kit = await startClients()
      await makeBucket(kit, 'states')
    })
    after(() => kit?.close())

    const terraform = (words: string[], code = 0) =>
      kit.run('terraform', [...words, '-no-color'], {
        code,
        env: {
          CHECKPOINT_DISABLE: '1',
          TF_IN_AUTOMATION: '1',
          TF_INPUT: '0',
          TF_CLI_CONFIG_FILE: '/dev/null',
        },
      })
    const signer = new SignerV4({ accessKey: ROOT_KEY.accessKeyId, secretKey: ROOT_KEY.secretAccessKey })
    const send = async (method: string, path: string, body = '') => {
      const { target, headers } = signer.sign(
        { method, host: kit.server.s3, path, body: Buffer.from(body) },
        Date.now(),
      )
      const init: RequestInit = { method, headers: headers.filter(([name]) => name !== 'Host') }
      return await fetch(`${kit.endpoint}${target}`, method === 'PUT' ? { ...init, body } : init)
    }

    test('state is kept, locked, versioned by workspace, and given up', async () => {
      writeFileSync(join(kit.home, 'main.tf'), configuration(kit, 'one'))
      await terraform(['init'])
      await terraform(['apply', '-auto-approve'])
      assert.equal((await terraform(['output', '-raw', 'said'])).stdout, 'one')
      assert.equal((await send('GET', LOCK)).status, 404, 'the lock is given back')

      assert.equal(
        (await send('PUT', LOCK, '{"ID":"another","Who":"someone","Operation":"apply"}')).status,
        200,
      )
      writeFileSync(join(kit.home, 'main.tf'), configuration(kit, 'two'))
      const refused = await terraform(['apply', '-auto-approve'], 1)
      assert.match(refused.stderr, /Error acquiring the state lock[\s\S]*PreconditionFailed[\s\S]*someone/)
      await terraform(['force-unlock', '-force', 'another'])
      await terraform(['apply', '-auto-approve'])
      assert.equal((await terraform(['output', '-raw', 'said'])).stdout, 'two')

      await terraform(['workspace', 'new', 'trial'])
      assert.match((await terraform(['workspace', 'list'])).stdout, /default\n\* trial/)
      await terraform(['workspace', 'select', 'default'])
      await terraform(['workspace', 'delete', 'trial'])
      await terraform(['destroy', '-auto-approve'])
      assert.equal((await terraform(['state', 'list'])).stdout, '')
    })
  })
}

function configuration(kit: ClientKit, said: string): string {
  return `
terraform {
  backend "s3" {
    bucket                      = "states"
    key                         = "live/state.json"
    region                      = "us-east-1"
    endpoints                   = { s3 = "${kit.endpoint}" }
    use_path_style              = true
    use_lockfile                = true
    encrypt                     = true
    skip_credentials_validation = true
    skip_requesting_account_id  = true
    skip_metadata_api_check     = true
  }
}
resource "terraform_data" "one" {
  input = "${said}"
}
output "said" {
  value = terraform_data.one.output
}
`
}
