/** Invariants. A failed one is a bug, and crashes rather than writes something wrong. */

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionFailure(message)
}

/** Thrown by `assert` only; nothing catches it on purpose. */
export class AssertionFailure extends Error {
  constructor(message: string) {
    super(`assertion failed: ${message}`)
    this.name = 'AssertionFailure'
  }
}
