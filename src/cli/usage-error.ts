/** The caller wrote something wrong: a flag, a variable, a file's key, an argument. Shown as one line; exit code 2. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'UsageError'
  }
}
