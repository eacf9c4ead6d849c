/** The credential of a signature of version 4: whose key, and the day, region and service that it is good for. */
import { invalidArgument, S3Error, type S3ErrorExtra } from '../s3-error.ts'

export const SERVICE = 's3'
export const TERMINATOR = 'aws4_request'

export interface Credential {
  accessKey: string
  /** `20130524`. */
  date: string
  region: string
  /** `20130524/us-east-1/s3/aws4_request`. */
  scope: string
}

/** Makes the error of the place where the credential came from. */
export type CredentialFault = (reason: string, extra?: S3ErrorExtra) => S3Error

export const HEADER_FAULT: CredentialFault = (reason, extra) =>
  new S3Error(
    'AuthorizationHeaderMalformed',
    `The authorization header is malformed; ${reason}`,
    extra === undefined ? {} : { extra },
  )

export const QUERY_FAULT: CredentialFault = (reason, extra) =>
  new S3Error(
    'AuthorizationQueryParametersError',
    `Error parsing the X-Amz-Credential parameter; ${reason}`,
    extra === undefined ? {} : { extra },
  )

export const formFault =
  (credential: string): CredentialFault =>
  (reason) =>
    invalidArgument(reason, 'x-amz-credential', credential)

/** Throws what `fault` makes. The date is compared with the request's by `assertSameDay`. */
export function parseCredential(text: string, region: string, fault: CredentialFault): Credential {
  const parts = text.split('/')
  const [accessKey, date, givenRegion, service, terminator] = parts as [
    string,
    string,
    string,
    string,
    string,
  ]
  if (parts.length !== 5 || accessKey === '')
    throw fault('the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".')
  if (terminator !== TERMINATOR)
    throw fault(`incorrect terminal "${terminator}". This endpoint uses "${TERMINATOR}".`)
  if (service !== SERVICE)
    throw fault(`incorrect service "${service}". This endpoint belongs to "${SERVICE}".`)
  if (givenRegion !== region)
    throw fault(`the region '${givenRegion}' is wrong; expecting '${region}'`, { Region: region })
  if (!/^[0-9]{8}$/.test(date))
    throw fault(
      `incorrect date format "${date}". This date in the credential must be in the format "yyyyMMdd".`,
    )
  return { accessKey, date, region, scope: text.slice(accessKey.length + 1) }
}

/** `amzDate`: `20130524T000000Z`. */
export function assertSameDay(
  { date }: Credential,
  amzDate: string,
  fault: (reason: string) => S3Error,
): void {
  const day = amzDate.slice(0, 8)
  if (day !== date)
    throw fault(`Invalid credential date "${date}". This date is not the same as X-Amz-Date: "${day}".`)
}

/** Splits the list of signed headers. Throws for one that is not made of names in lower case, each once, in order. */
export function parseSignedHeaders(text: string, fault: () => S3Error): string[] {
  const names = text.split(';')
  for (let i = 0; i < names.length; i++) {
    if (!/^[a-z0-9!#$%&'*+.^_`|~-]+$/.test(names[i]!)) throw fault()
    if (i > 0 && names[i - 1]! >= names[i]!) throw fault()
  }
  return names
}
