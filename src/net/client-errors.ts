/** What is told a client whose bytes are no request, by Node's codes. */

const BODY_CUT_OFF: [number, string] = [400, 'the body was cut off']

/** Status and reason. `isCutOff`: it is a body that ended before its length. */
export function clientErrorStatus(error: NodeJS.ErrnoException, isCutOff: boolean): [number, string] {
  if (isCutOff) return BODY_CUT_OFF
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return [431, 'the request head is too large']
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return [408, 'the request took too long']
    case 'HPE_INVALID_URL':
      return [400, 'malformed HTTP request: its target has characters that URLs must quote with %']
    default:
      return [400, 'malformed HTTP request']
  }
}

/** As Node says of a head that it says it of a body. */
export function slowError(): NodeJS.ErrnoException {
  return Object.assign(new Error('the body arrives too slowly'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' })
}
