/** Over 300 ways in which a request can be wrongly signed, sent to every route of the table to a server on a real store. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { askRoutes } from './routes.ts'

test('no route takes what is not rightly signed, and nothing is changed by it', async () => {
  const { routes, requests, wrong } = await askRoutes()
  assert.deepEqual(wrong, [])
  assert(requests > 200 * routes, `${requests} requests to ${routes} routes`)
})
