/** Which function does what the route table names. An action that is not here is answered with NotImplemented. */
import type { Action } from './s3-context.ts'

export const HANDLERS: ReadonlyMap<string, Action> = new Map<string, Action>([])
