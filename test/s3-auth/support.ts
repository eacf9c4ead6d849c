/** The verifier with a clock that stands still, and requests for it. */
import assert from 'node:assert/strict'
import type { Clock } from '../../src/base/clock.ts'
import { Identities } from '../../src/iam/identities.ts'
import { Authenticator } from '../../src/protocols/s3/auth/authenticate.ts'
import { S3Error } from '../../src/protocols/s3/s3-error.ts'
import { S3Request } from '../../src/protocols/s3/s3-request.ts'

/** Of the published examples. */
export const EXAMPLE_KEY = {
  accessKey: 'AKIAIOSFODNN7EXAMPLE',
  secretKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
}
export const REGION = 'us-east-1'
export const DOMAIN = 's3.amazonaws.com'

/** What a client puts on the wire. */
export interface Wire {
  method: string
  target: string
  headers: readonly (readonly [name: string, value: string])[]
}

export function requestOf({ method, target, headers }: Wire): S3Request {
  const rawHeaders = headers.flat()
  return new S3Request({ method, target, rawHeaders, remoteAddress: '127.0.0.1', isTls: false }, [DOMAIN])
}

export function stoppedClock(ms: number): Clock {
  const none = () => () => {}
  return {
    nowMs: () => ms,
    monotonicMs: () => ms,
    after: none,
    every: none,
    soon: (run) => run(),
    sleep: async () => {},
  }
}

export function authenticatorAt(
  nowMs: number,
  { identities = new Identities(EXAMPLE_KEY), region = REGION, allowsV2 = true } = {},
): Authenticator {
  return new Authenticator({ identities, region, clock: stoppedClock(nowMs), allowsV2 })
}

/** Runs it and gives the S3Error that it must throw. */
export function refusal(run: () => unknown): S3Error {
  try {
    run()
  } catch (error) {
    assert(error instanceof S3Error, `not an S3 error: ${error}`)
    return error
  }
  assert.fail('it was not refused')
}
