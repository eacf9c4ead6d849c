/** The variables of the guide stand for settings, and give way to them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { withGuideVariables } from './guide-environment.ts'
import { UsageError } from './usage-error.ts'

const BUS = 'amqp://test:test@localhost:5672'
const GUIDE = { LISTEN_ADDRESS: '10.29.1.1:12345', STORAGE_ROOT: '/tmp/stg/1', RABBITMQ_SERVER: BUS }

test('data server, API server, and both in one', () => {
  assert.deepEqual(withGuideVariables('volume', GUIDE), {
    ...GUIDE,
    CAIRN_IP: '10.29.1.1',
    CAIRN_PORT: '12345',
    CAIRN_DIR: '/tmp/stg/1',
    CAIRN_BUS: BUS,
  })
  assert.deepEqual(withGuideVariables('objects', GUIDE), {
    ...GUIDE,
    CAIRN_HOST: '10.29.1.1',
    CAIRN_PORT: '12345',
    CAIRN_BUS: BUS,
  })
  const alone = { LISTEN_ADDRESS: ':12345', STORAGE_ROOT: '/tmp' }
  assert.deepEqual(withGuideVariables('server', alone), {
    ...alone,
    CAIRN_LISTEN: 'objects=0.0.0.0:12345',
    CAIRN_DATA: '/tmp',
  })
})

test('settings come first, and other commands do not see them', () => {
  const both = { ...GUIDE, CAIRN_DIR: '/other', CAIRN_PORT: '' }
  const { CAIRN_DIR, CAIRN_PORT } = withGuideVariables('volume', both)
  assert.deepEqual([CAIRN_DIR, CAIRN_PORT], ['/other', '12345'])
  assert.equal(withGuideVariables('volume check', GUIDE), GUIDE)
  assert.equal(withGuideVariables('master', GUIDE), GUIDE)
  assert.throws(() => withGuideVariables('volume', { LISTEN_ADDRESS: '12345' }), UsageError)
})
