/** The window of writes: it closes as they collide, opens again, and lets those that collided go first. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WriteWindow } from './write-window.ts'

const COLLISION = new Error('collision')

/** Work that the test ends. */
function held() {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  return { promise, end: resolve, collide: () => reject(COLLISION) }
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

test('as many as its size at once, fewer after collisions, more after successes', async () => {
  const window = new WriteWindow(4, (thrown) => thrown === COLLISION)
  let running = 0
  let runningMax = 0
  const work = async (fails: boolean) => {
    runningMax = Math.max(runningMax, ++running)
    await turn()
    running--
    if (fails) throw COLLISION
  }
  const crowd = async (fails: boolean) => {
    runningMax = 0
    const all = Array.from({ length: 40 }, () => window.run(() => work(fails), { isRepeated: false }))
    await Promise.allSettled(all)
    return runningMax
  }
  assert.equal(await crowd(false), 4)
  await crowd(true)
  const few = held()
  const began: string[] = []
  const first = window.run(() => few.promise, { isRepeated: false })
  const second = window.run(async () => void began.push('second'), { isRepeated: false })
  await turn()
  assert.deepEqual(began, [])
  few.end()
  await Promise.all([first, second])
  await crowd(false)
  assert.equal(await crowd(false), 4)
  assert.equal(window.waitingCount, 0)
})

test('who collided goes before who comes; another error closes nothing', async () => {
  const window = new WriteWindow(1, (thrown) => thrown === COLLISION)
  const block = held()
  const order: string[] = []
  const first = window.run(() => block.promise, { isRepeated: false })
  const others = ['new', 'newer', 'repeated'].map((name) =>
    window.run(async () => void order.push(name), { isRepeated: name === 'repeated' }),
  )
  assert.equal(window.waitingCount, 3)
  block.collide()
  await assert.rejects(first, COLLISION)
  await Promise.all(others)
  assert.deepEqual(order, ['repeated', 'new', 'newer'])
})
