import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BasicAuth, hashPassword } from './basic-auth.ts'

const header = (user: string, password: string) =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`

test('plain, SHA and scrypt secrets', async () => {
  const text = `# users\n\nada:secret:with:colons\nbob:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\r\neve:${hashPassword('pässword')}\n`
  const auth = new BasicAuth(text)
  assert.equal(auth.user(header('ada', 'secret:with:colons')), 'ada')
  assert.equal(auth.user(header('bob', 'password')), 'bob')
  for (let i = 0; i < 2; i++) assert.equal(await auth.user(header('eve', 'pässword')), 'eve')
  assert.equal(await auth.user(header('eve', 'password')), undefined)
  assert.equal(auth.user(header('ada', 'secret')), undefined)
  assert.equal(auth.user(header('nobody', 'x')), undefined)
  assert.equal(auth.user(header('', 'x')), undefined)
  for (const wrong of [
    undefined,
    '',
    'Basic',
    'Basic !!!',
    'Bearer abc',
    `Basic ${Buffer.from('ada').toString('base64')}`,
  ]) {
    assert.equal(auth.user(wrong), undefined)
  }
})

test('passwords to hash do not pile up, and right ones are remembered', async () => {
  const auth = new BasicAuth(`eve:${hashPassword('right')}`)
  const guesses = await Promise.allSettled(
    Array.from({ length: 40 }, (_, i) => auth.user(header('eve', `guess ${i}`))),
  )
  assert.ok(guesses.some(({ status }) => status === 'rejected'))
  assert.ok(guesses.every((guess) => guess.status === 'rejected' || guess.value === undefined))
  assert.equal(await auth.user(header('eve', 'right')), 'eve')
  assert.equal(auth.user(header('eve', 'right')), 'eve')
})

test('bad files are refused and name the line, not the secret', () => {
  const cases = [
    '',
    '# nothing\n',
    'ada\n',
    ':x\n',
    'ada:\n',
    'ada:{SHA}short\n',
    'ada:$apr1$hidden\n',
    'ada:{MD5}hidden\n',
    'ada:scrypt$3$8$1$AAAAAAAAAAA=$hidden\n',
  ]
  for (const text of cases) {
    assert.throws(
      () => new BasicAuth(text),
      (error: Error) => /basic auth file/.test(error.message) && !/hidden/.test(error.message),
    )
  }
})
