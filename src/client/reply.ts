/** What a master's or a volume server's reply means, as the store's own errors. */
import { type ErrorCode, StoreError } from '../base/errors.ts'

const CODE_OF_STATUS: Record<number, ErrorCode> = {
  400: 'bad_request',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not_found',
  406: 'no_writable_volume',
  408: 'timeout',
  409: 'conflict',
  413: 'too_large',
  416: 'bad_request',
  429: 'too_many_requests',
  501: 'unsupported',
  503: 'unavailable',
  504: 'timeout',
  507: 'disk_full',
}

/** The error of a reply that is not a success; `text` is its body. */
export function errorOfReply(status: number, text: string): StoreError {
  let reason = text.trim().slice(0, 500)
  try {
    const { error } = JSON.parse(text) as { error?: unknown }
    if (typeof error === 'string') reason = error
  } catch {
    // A body that is not JSON is shown as it is.
  }
  const code = CODE_OF_STATUS[status] ?? (status >= 500 ? 'io_error' : 'bad_request')
  return new StoreError(
    code,
    reason === '' ? `the server answered ${status}` : `${reason} (status ${status})`,
  )
}

/** A JSON object, or `internal` when the server sent something else. */
export function parseJson(text: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new StoreError('internal', `the server's reply is not JSON: ${text.slice(0, 100)}`, {
      cause: error,
    })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new StoreError('internal', `the server's reply is not a JSON object: ${text.slice(0, 100)}`)
  }
  return value as Record<string, unknown>
}
